"""One line a check, and one JSON object at the end, as `npm run parity` has it."""

import json
import math
import sys

LIMIT = 1e-3


class Checks:
    def __init__(self) -> None:
        self.checks, self.worst, self.failed = 0, 0.0, 0

    def expect(self, what: str, error: float, limit: float = LIMIT) -> None:
        self._count(what, error <= limit, f"{error:.2e} of {limit:g}")
        self.worst = max(self.worst, error) if math.isfinite(error) else math.inf

    def holds(self, what: str, ok: bool, shown: str = "") -> None:
        self._count(what, ok, shown)

    def _count(self, what: str, ok: bool, shown: str) -> None:
        self.checks += 1
        self.failed += not ok
        print(f"{'ok    ' if ok else 'FAILED'} {what}{': ' + shown if shown else ''}", flush=True)

    def end(self) -> None:
        worst = self.worst if math.isfinite(self.worst) else None
        print(json.dumps({"checks": self.checks, "worst": worst, "failed": self.failed}))
        sys.exit(1 if self.failed or self.checks == 0 else 0)
