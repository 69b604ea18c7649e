"""Texts compiled one after the other in a thread of its own, while the program runs on.

The thread ends with the interpreter: what is being compiled then is given up.  This module knows nothing of C.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

from shared.programs.machine_code import compiler

Job = Callable[[], None]


class _Worker:
    """One thread, which is started by the first job."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.ended = False

    def submit(self, job: Job) -> None:
        with self.lock:
            if not self.ended and self._has_thread():
                self.jobs.put(job)
                return
        job()

    def _has_thread(self) -> bool:
        """Whether there is a thread, or can be: some systems have none, nor has an interpreter that ends."""
        if self.thread is None:
            thread = threading.Thread(target=self._work, name="machine code", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self.thread = thread
        return True

    def _work(self) -> None:
        while (job := self.jobs.get()) is not None and not self.ended:
            job()

    def end(self) -> None:
        with self.lock:
            self.ended = True
            self.jobs.put(None)
        compiler.stop()
        if self.thread is not None:
            self.thread.join(timeout=2.0)


_worker = _Worker()


def submit(job: Job) -> None:
    """Let the thread do a job when it has done all before, or do it at once if there is none; jobs raise nothing."""
    _worker.submit(job)


def _end() -> None:
    _worker.end()


def _renew() -> None:
    """A forked process has no thread: its jobs go to a new one."""
    global _worker
    _worker = _Worker()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
