"""One pooled HTTP client for many small requests to a server that may fail in every known way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from agentgym_si.errors import BadInput, EnvFailure, MissingDependency

try:
    import httpx2
except ImportError as error:
    raise MissingDependency(
        "served language models need httpx2: pip install 'agentgym-si[openai]'"
    ) from error

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST_ANSWER = 64 << 20
"""Bytes of an answer that are read; a longer one is garbage."""

MOST_GARBAGE = 3
"""Answers that cannot be read, after which a request is given up."""

_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_GARBAGE = (LookupError, TypeError, ValueError, RecursionError, httpx2.DecodingError)


class Refused(Exception):
    """The server understood the request and says no: it is not asked again."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status and what the server wrote."""
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Client:
    """Sends JSON, and sends it again where that may help.

    A refused connection, a timeout, a broken stream, 408, 429, 5xx and garbage are tried again
    with growing pauses, or those the server asks for, until the request's deadline.

    Args:
        url: what all paths are appended to.
        key: sent as a bearer token; "" sends none.
        concurrency: requests in flight at most.
        timeout: seconds an attempt may take, from its start to the last byte.
        patience: seconds a request may take with all its attempts.
    """

    def __init__(
        self, url: str, *, key: str = "", concurrency: int, timeout: float, patience: float
    ) -> None:
        """Open nothing yet; raises BadInput for settings out of range."""
        if concurrency < 1:
            raise BadInput(f"expected concurrency of at least 1, got {concurrency}")
        if not timeout > 0 or not patience > 0:
            raise BadInput(f"expected timeout and patience above 0, got {timeout} and {patience}")
        self.url, self.concurrency = url.rstrip("/"), concurrency
        self.timeout, self.patience = timeout, patience
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            limits=httpx2.Limits(
                max_connections=concurrency, max_keepalive_connections=concurrency
            ),
            timeout=timeout,
        )

    def close(self) -> None:
        """Close all connections; safe to call again."""
        self._http.close()

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        read: Callable[[Any], Result],
        *,
        patience: float | None = None,
        given_up: threading.Event | None = None,
    ) -> Result:
        """Return what `read` makes of the JSON answer; GET where there is no body.

        `read` raises LookupError, TypeError or ValueError for what is not an answer: such a one
        counts as garbage. Raises Refused, and EnvFailure at the deadline or once `given_up` is set.
        """
        end = time.monotonic() + (self.patience if patience is None else patience)
        garbage = attempt = 0
        while True:
            pause = min(_PAUSE * 2**attempt, _LONGEST_PAUSE)
            attempt += 1
            try:
                return read(json.loads(self._once(path, body, end)))
            except _Busy as busy:
                problem, pause = str(busy), max(busy.pause, pause)
            except httpx2.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            except _GARBAGE as error:
                garbage += 1
                problem = f"an answer that cannot be read ({type(error).__name__}: {error})"
            over = time.monotonic() + pause >= end or garbage >= MOST_GARBAGE
            if over or (given_up is not None and given_up.wait(pause)):
                raise EnvFailure("server", f"{self.url}{path} failed {attempt} times: {problem}")
            if given_up is None:
                time.sleep(pause)

    def _once(self, path: str, body: Mapping[str, Any] | None, end: float) -> bytes:
        """Return the bytes of one attempt's answer."""
        end = min(end, time.monotonic() + self.timeout)
        method = "GET" if body is None else "POST"
        with self._http.stream(
            method, self.url + path, json=body, timeout=max(end - time.monotonic(), 0.001)
        ) as answer:
            parts: list[bytes] = []
            size = 0
            for part in answer.iter_bytes():
                parts.append(part)
                size += len(part)
                if time.monotonic() > end:  # the client's own limit is between two bytes
                    raise httpx2.ReadTimeout(f"no whole answer after {size} bytes")
                if size > LARGEST_ANSWER:
                    raise ValueError(f"more than {LARGEST_ANSWER} bytes")
            content = b"".join(parts)
            if answer.status_code in (408, 429) or answer.status_code >= 500:
                raise _Busy(answer.status_code, _message(content), _asked_pause(answer.headers))
            if not 200 <= answer.status_code < 300:
                raise Refused(answer.status_code, _message(content))
            return content

    def tell(self, path: str, body: Mapping[str, Any]) -> None:
        """Post once, with no interest in the answer; raises Refused, EnvFailure."""
        try:
            self._once(path, body, time.monotonic() + self.patience)
        except (_Busy, httpx2.TransportError) as error:
            raise EnvFailure("server", f"{self.url}{path} failed: {error}") from error

    def map(
        self, function: Callable[[Item, threading.Event], Result], items: Sequence[Item]
    ) -> list[Result]:
        """Return the function of every item, at most `concurrency` at once; raises the first error.

        The function is given the event that says another one failed.
        """
        given_up = threading.Event()
        with ThreadPoolExecutor(max_workers=max(min(self.concurrency, len(items)), 1)) as pool:
            futures = [pool.submit(function, item, given_up) for item in items]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for error in _errors(done) if error is not None]
            if failed:
                given_up.set()
                for future in waiting:
                    future.cancel()
                raise failed[0]
        return [future.result() for future in futures]


class _Busy(Exception):
    """The server may answer later."""

    def __init__(self, status: int, message: str, pause: float) -> None:
        super().__init__(f"status {status}: {message}")
        self.pause = pause


def _errors(done: Iterable[Any]) -> list[BaseException | None]:
    return [future.exception() for future in done]


def _asked_pause(headers: httpx2.Headers) -> float:
    """Return the seconds the server asks to wait; 0 where it says none that we can read."""
    try:
        return max(float(headers.get("retry-after", "0")), 0.0)
    except ValueError:  # a date
        return 0.0


def _message(content: bytes) -> str:
    """Return what an error's answer says, in at most 500 characters."""
    text = content.decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError:
        return text[:500]
    error = found.get("error", found) if isinstance(found, dict) else found
    message = error.get("message", error) if isinstance(error, dict) else error
    code = error.get("code") if isinstance(error, dict) else None
    return f"{message} ({code})"[:500] if isinstance(code, str) else str(message)[:500]
