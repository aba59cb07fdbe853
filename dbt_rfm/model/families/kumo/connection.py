"""One endpoint of Kumo Relational: a context pinned there, questions against it, and what can go wrong in between.

In: the parts of a request (`envelope.py`). Out: the endpoint's answers, item by item, in the order asked. The context
travels once, with `fit`; an endpoint that keeps no sessions is sent it with each call. What an endpoint keeps is
released when the session here is no longer used.
The API key comes from the environment and is never shown. What an endpoint complains of is shown without what may be
rows: quotes, decimals, texts that were sent. Every failure is one ModelError.
"""

from __future__ import annotations

import logging
import os
import re
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sdm_client import FittedModel, KumoRelational, NimRequestError, PredictionResult, Request, Schema, SDMClient
from sdm_client import StructuredDataError as ClientError

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.kumo.envelope import Half, texts_of

KEY = "DBT_RFM_KUMO_API_KEY"
_RETRIES = 2
_QUESTION = "examples of dbt-rfm"
_FORM = "Write it as https://host:8000, with a path only where a gateway has one."
log = logging.getLogger("dbt_rfm")


@dataclass(frozen=True)
class Endpoint:
    """Where it is, and how long one call may take in seconds. Raises ModelError for an address with a password."""

    url: str = field(repr=False)
    timeout: float

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ModelError(f"the option endpoint of the model kumo is no address: {error}", hint=_FORM) from None
        if parts.username or parts.password:
            raise ModelError(
                "the option endpoint of the model kumo has a name or password in it",
                hint=f"Write the address alone; a key is read from the environment variable {KEY}.",
            )

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def client(self) -> SDMClient:
        key = os.environ.get(KEY) or None
        try:
            return SDMClient(url=self.url, api_key=key, timeout=self.timeout, max_retries=_RETRIES)
        except ClientError as error:
            raise ModelError(f"the endpoint of the model kumo cannot be used: {error.message}", hint=_FORM) from None


class Session:
    """A context at an endpoint, to be asked any number of times. Raises ModelError where it cannot be."""

    def __init__(self, endpoint: Endpoint, envelope: Mapping[str, Any], output: str, names: Mapping[str, str]) -> None:
        self._endpoint, self._envelope, self._output, self._names = endpoint, envelope, output, names
        self._client = endpoint.client()
        self.release = weakref.finalize(self, _release, self._client)
        self._fitted = self._pin()

    def ask(self, half: Half) -> PredictionResult:
        """One item per row of the half."""
        request = _request({**self._envelope, "predict": half})
        try:
            return self._answer(request)
        except ClientError as error:
            if self._fitted is None or getattr(error, "status_code", None) != 404:
                raise self._failure(error, half) from None
        log.info("kumo: %s has let go of its session; sending the context again", self._endpoint.place)
        self._fitted = self._pin()
        try:
            return self._answer(request)
        except ClientError as error:
            raise self._failure(error, half) from None

    def _answer(self, request: Request) -> PredictionResult:
        if self._fitted is not None:
            return self._fitted.predict(request)
        return self._client.predict(request, model=KumoRelational(), outputs=[self._output])

    def _pin(self) -> FittedModel | None:
        try:
            return self._client.fit(_request(self._envelope), model=KumoRelational(), outputs=[self._output])
        except ClientError as error:
            if error.code == "SESSIONS_UNSUPPORTED":
                return None
            raise self._failure(error) from None

    def _failure(self, error: ClientError, *halves: Half) -> ModelError:
        """What the client reports, in our words."""
        where = f"the endpoint {self._endpoint.place} of the model kumo"
        cause = _first_cause(error)
        if isinstance(cause, TimeoutError):
            return ModelError(
                f"{where} did not answer within {self._endpoint.timeout:g} seconds",
                hint="Ask with fewer examples (context_size), or give it longer with the option timeout.",
            )
        if isinstance(error.__cause__, OSError):
            return ModelError(
                f"{where} cannot be reached: {type(cause).__name__}",
                hint="Look whether it runs, and whether this machine may reach it: `curl ENDPOINT/v1/health/ready`.",
            )
        said = _shown(error.message, self._names, texts_of(self._envelope["context"], *halves))
        return _refusal(error, where, said) if isinstance(error, NimRequestError) else broken(said, where)


def _first_cause(error: BaseException) -> BaseException:
    """The client calls a refused connection a timeout; what the system said is at the end of the chain."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


def broken(what: str, where: str = "the endpoint of the model kumo") -> ModelError:
    return ModelError(
        f"{where} does not keep to the contract of structured-data-models-client 1.0: {what}",
        hint="Look whether the address is that of Kumo Relational, and its release one for that client.",
    )


def _refusal(error: NimRequestError, where: str, said: str) -> ModelError:
    status = error.status_code
    if status in (401, 403):
        given = f"the key in {KEY}" if os.environ.get(KEY) else f"a request without a key, and {KEY} is not set"
        return ModelError(f"{where} refuses ({status}) {given}", hint=f"Set the environment variable {KEY}.")
    if status in (404, 405):
        return ModelError(
            f"{where} has no predictions to ask for ({status})",
            hint="Write its base address, e.g. https://host:8000; /v1/predictions is added to it. Replicas behind one "
            "address must keep a session on one of them.",
        )
    said = f"{status} {error.code or ''}".strip() + f", {said}"
    if status == 429 or status >= 500:
        return ModelError(f"{where} failed: {said}", hint="Its own log tells more. Try again later.")
    return ModelError(
        f"{where} does not take the request: {said}", hint="Use the model 'rfm', or kumo without endpoint."
    )


def _shown(text: str, names: Mapping[str, str], sent: set[str]) -> str:
    """A complaint in the names of the user's columns, without the key and without what may be a row."""
    key = os.environ.get(KEY)
    text = text.replace(key, "…") if key else text
    text = re.sub(r"\"[^\"]*\"|(?<!\w)'[^']*'|`[^`]*`", lambda quoted: _kept(quoted[0], names), text)
    text = re.sub(r"-?\d+[.:T]\d\S*", "…", text)
    for cell in sorted((cell for cell in sent if cell in text), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(cell)}(?!\w)", "…", text)
    text = re.sub(r"\btable\d+\.\w+|\bfeature\d+|\btable\d+\b", lambda found: names.get(found[0], found[0]), text)
    return " ".join(text.split())[:300]


def _kept(quoted: str, names: Mapping[str, str]) -> str:
    return quoted if quoted[1:-1] in names else "…"


def _request(envelope: Mapping[str, Any]) -> Request:
    # The schema is in the envelope; the client only asks its own about shapes that it would refuse.
    return Request.materialized(payloads=(dict(envelope),), schema=Schema({}), query=_QUESTION, indices=[])


def _release(client: SDMClient) -> None:
    """Sessions end by themselves after a while; one that cannot be ended now is no failure of the answer."""
    try:
        client.close()
    except ClientError as error:
        log.debug("kumo: a session was left to end by itself: %s", error.code)
