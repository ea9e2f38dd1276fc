"""The place: the servers and workers of one project folder, brought up, looked at and taken down together."""
