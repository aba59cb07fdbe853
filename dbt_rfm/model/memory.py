"""Too little memory: half as many examples at once, and again, until it fits."""

from __future__ import annotations

import logging

import torch

from dbt_rfm.errors import ModelError

log = logging.getLogger("dbt_rfm")

#: What a lack of memory may be raised as, and much else: `halved` tells them apart.
LACK = (RuntimeError, MemoryError)


def halved(at_once: int, error: BaseException, *, one: str, hint: str) -> int:
    """Half as many. Raises `error` where it was no lack of memory, ModelError where not even `one` fits."""
    lack = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    if not lack:
        raise error
    if at_once == 1:
        raise ModelError(f"there is too little memory for {one}", hint=hint) from error
    log.warning("too little memory: going on with %d examples at once", at_once // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return at_once // 2
