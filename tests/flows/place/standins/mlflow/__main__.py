"""Stands in for `mlflow server`: answers /health, from a child process as the real one does."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if Path(os.environ["RNNFLOW_HOME"], "mlflow-fails").exists():
        sys.exit("the store is broken")
    if sys.argv[1] == "server":
        port = sys.argv[sys.argv.index("--port") + 1]
        sys.exit(subprocess.call([sys.executable, "-m", "mlflow", "listen", port]))
    HTTPServer(("127.0.0.1", int(sys.argv[2])), Health).serve_forever()
