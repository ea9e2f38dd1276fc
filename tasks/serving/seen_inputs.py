"""What the served models saw, as one running profile per version and hour, saved periodically."""

import datetime
import logging
import os
import secrets
import threading
from dataclasses import dataclass, field

from tasks.contract.profile import Profile, Stretch
from tasks.monitoring import seen

logger = logging.getLogger(__name__)

MAX_STRETCHES = 100_000  # series that are remembered


@dataclass
class SeenInputs:
    """Running profiles of this process, by model version; a batch name stands for the hour they belong to.

    stretches: what was counted last of each series, since a client that asks repeatedly sends the same steps again.
    """

    batch: str = ""
    profiles: dict[str, Profile] = field(default_factory=dict)
    stretches: dict[tuple[str, str], Stretch] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    mark: str = field(default_factory=lambda: f"{os.getpid()}-{secrets.token_hex(4)}")

    def add(self, model: str, profile: Profile) -> None:
        """Count what a version (`name/version`) was asked, unless steps of it were counted already."""
        with self.lock:
            self._turn_hour()
            if profile.stretch is None or self._is_new(model, profile.stretch):
                self.profiles[model] = self.profiles.get(model, Profile.empty()) + profile

    def flush(self) -> None:
        """Record the running profiles; what cannot be written is kept for the next time."""
        with self.lock:
            self._record()

    def _is_new(self, model: str, stretch: Stretch) -> bool:
        counted = self.stretches.get((model, stretch.series))
        if counted is not None and counted.overlaps(stretch):
            return False
        self.stretches[model, stretch.series] = stretch
        if len(self.stretches) > MAX_STRETCHES:
            del self.stretches[next(iter(self.stretches))]
        return True

    def _turn_hour(self) -> None:
        batch = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H}-{self.mark}"
        if batch != self.batch and self._record():
            self.batch, self.profiles = batch, {}

    def _record(self) -> bool:
        try:
            for model, profile in self.profiles.items():
                seen.record_seen(model, profile, source="serve", batch=self.batch)
        except OSError as error:
            logger.warning("The profile of the requests could not be saved: %s", error.strerror)
            return False
        return True
