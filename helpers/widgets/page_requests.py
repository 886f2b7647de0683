"""What pages ask for, carried out in a thread, so that the kernel hears of a stop while something is computed.

Messages of a front end reach the kernel one after the other, in its main thread or, from JupyterLab 4.4 on, in a thread
for all widgets, which JupyterLab's interrupt does not reach. In either, a stop would wait until the computation that it
is to end has ended. So the thread that gets a message of a page only passes it on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Event, RLock, Thread
from typing import Any, Self

import torch
from ipywidgets import Widget
from torch.overrides import TorchFunctionMode

Status = dict[str, Any]  # "text", "isError", and "isEnd" where nothing follows
PERIOD = 1.0  # seconds between what is told of a long computation
THREAD = ThreadPoolExecutor(1, "requests of pages")  # one for all widgets, which would only slow each other down


class Stop(TorchFunctionMode):
    """Where it is entered, PyTorch raises a KeyboardInterrupt at its next operation once a stop is asked for.

    Every operation of PyTorch may raise an error, so that what stays as it was after an error does so after a stop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = False  # set by another thread
        self.count = 0  # of the operations so far
        self._grad_modes: list[bool] = []  # where it was entered

    def __enter__(self) -> Self:
        """Enter the mode."""
        self._grad_modes.append(torch.is_grad_enabled())
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Leave the mode, with gradients as they were: a stop may have kept ``no_grad`` from its own end."""
        super().__exit__(*error)
        torch.set_grad_enabled(self._grad_modes.pop())

    def check(self) -> None:
        """Raise a KeyboardInterrupt if a stop is asked for."""
        if self.is_asked:
            raise KeyboardInterrupt

    def __torch_function__(
        self, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation of PyTorch, unless a stop is asked for."""
        self.check()
        self.count += 1
        return function(*args, **(kwargs or {}))


CURRENT: ContextVar[Stop | None] = ContextVar("CURRENT", default=None)  # of the request that is carried out


class PageRequests:
    """The messages of the pages that show a widget, carried out in their order.

    The command "stop" is heard at once, and ends all that were sent before it.

    Attributes:
        turn: held by whoever computes for the widget: a request of a page, or a cell that calls a method.
        tell: called once a second while something is computed, with the "seconds" that it has taken, and the "share"
            done, or None: its operations of PyTorch, divided by those of the last action of its kind.
    """

    def __init__(self) -> None:
        self.turn = RLock()
        self.tell: Callable[[dict[str, Any]], None] = lambda progress: None
        self._counts: dict[str, int] = {}  # kind of an action -> operations of the last one
        self._stops: set[Stop] = set()  # of what is computed or waits
        self._waiting: dict[Widget, dict[str, Any]] = {}  # the change of a control that waits
        self._lock = RLock()  # of the changes that wait

    def listen(self, *widgets: Widget) -> None:
        """Take the messages of pages to these widgets."""
        for widget in widgets:
            widget.comm.on_msg(partial(self._take, widget))

    def stop(self) -> None:
        """Stop what is computed for a page or by a cell, and what waits."""
        with self._lock:
            self._waiting.clear()  # later changes are not joined to what is stopped
        for stop in [*self._stops]:
            stop.is_asked = True

    def attempt(self, action: Callable[[], Any], failure: str = "") -> Status:
        """Run an action until a stop, and return what to tell of it: its error after the text ``failure``, or no text.

        An exception in a callback of a widget would be lost otherwise. Actions of the same ``failure`` are of one kind.
        """
        stop, has_ended = CURRENT.get() or Stop(), Event()
        self._stops.add(stop)
        Thread(target=copy_context().run, args=(self._watch, stop, failure, has_ended), daemon=True).start()
        try:
            stop.check()
            before = stop.count
            with stop:
                action()
            self._counts[failure] = stop.count - before
        except KeyboardInterrupt:  # also of a cell that is interrupted
            return {"text": "stopped; all earlier results are kept", "isError": False, "isEnd": True}
        except Exception as error:
            return {"text": f"{failure}{str(error) or type(error).__name__}", "isError": True}
        finally:
            has_ended.set()
            self._stops.discard(stop)
        return {"text": "", "isError": False}

    def _watch(self, stop: Stop, kind: str, has_ended: Event) -> None:
        """Tell of an action in another thread, until it has ended; one long operation would not let its own tell."""
        begun, before, last = time.monotonic(), stop.count, self._counts.get(kind, 0)
        while not has_ended.wait(PERIOD):
            done = stop.count - before
            share = done / last if done < last else None
            self.tell({"seconds": round(time.monotonic() - begun), "share": share})

    def _take(self, widget: Widget, message: dict[str, Any]) -> None:
        """Pass a message of a page on; changes of a control that come while one waits are joined to it."""
        data = message["content"]["data"]
        if data["method"] == "custom" and data["content"].get("do") == "stop":
            self.stop()
            return
        if data["method"] == "update":
            with self._lock:
                waiting = self._waiting.setdefault(widget, data)
                if waiting is not data:
                    waiting["state"] |= data["state"]
                    return
        stop = Stop()
        self._stops.add(stop)
        THREAD.submit(copy_context().run, self._carry_out, widget, message, stop)

    def _carry_out(self, widget: Widget, message: dict[str, Any], stop: Stop) -> None:
        CURRENT.set(stop)
        try:
            with self.turn:
                with self._lock:
                    if self._waiting.get(widget) is message["content"]["data"]:
                        del self._waiting[widget]
                widget._handle_msg(message)
        finally:
            self._stops.discard(stop)
