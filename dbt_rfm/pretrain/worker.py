"""Entry point of one training process: `python -m dbt_rfm.pretrain.worker CONFIG`, CONFIG being JSON.

`pretrain` starts as many as asked for. One thread each: threads of one process stall one another on a busy machine.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from dbt_rfm.pretrain.training import Trainer, TrainingConfig


def main(text: str) -> None:
    given = json.loads(text)
    config = TrainingConfig(**{**given, "out": Path(given["out"])})
    torch.set_num_threads(1)
    if config.processes > 1:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(config.port)}
        dist.init_process_group("gloo", rank=config.process, world_size=config.processes)
    Trainer(config).run()
    if config.processes > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
