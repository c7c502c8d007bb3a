"""`MpiCommunicator`: processes that MPI has started exchange the results of shards through mpi4py."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.distributed import tree
from pyrnn.distributed.communicator import Communicator
from pyrnn.distributed.packing import Layout, packed

Array = NDArray[Any]
Messages = Sequence[tuple[int, Array]]

# Messages of exchanges, and the one of a process that ends.
_EXCHANGE, _END = 1, 2
# How often a wait only looks before it lets other processes run, and before it sleeps.
_LOOKS, _YIELDS = 64, 4096
_SLEEP = 1e-4
# How often a wait looks at the clock.
_CLOCK = 256
# Up to this many bytes a process sends its sums to all others; larger ones are summed in ranges, one per process.
_SMALL = 1 << 15
_HEADER = 4


class MpiCommunicator(Communicator):
    """The processes of an MPI job.

    Every message goes from one process to another, so a wait knows whom it waits for.

    Args:
        shards: number of shards.
        timeout: seconds after which a wait raises an error.
        world: a communicator of mpi4py.
    """

    def __init__(self, shards: int, timeout: float, world: Any) -> None:
        super().__init__(shards)
        self._world = world.Dup()
        self.rank, self.size = self._world.rank, self._world.size
        self._timeout = timeout
        self._others = [rank for rank in range(self.size) if rank != self.rank]
        self._exchanges = 0
        self._adder = tree.Adder()
        self._shards_of = [range(*tree.shards_of_rank(rank, self.size, shards)) for rank in range(self.size)]
        self._nodes_of = [tree.whole_nodes(each.start, each.stop, shards) for each in self._shards_of]
        self._testall = sys.modules["mpi4py.MPI"].Request.Testall

    # Exchanges.

    def gather_shards(
        self, results: Mapping[int, tuple[Layout, list[Array]]], bounds: Sequence[tuple[int, int]], training: bool
    ) -> tuple[Layout, list[list[Array]]]:
        rows = [stop - start for start, stop in bounds]
        present = [[shard for shard in shards if rows[shard]] for shards in self._shards_of]
        layout = next(iter(results.values()))[0] if results else None
        if not all(present):  # every process knows that one of them has no rows
            layout = next(each for each in self.gather(layout) if each is not None)
        assert layout is not None
        header = np.array([self._exchanges, training, sum(rows), zlib.crc32(repr(layout).encode())], np.int64)
        self._exchanges += 1
        content = packed([[header], *(results[shard][1] for shard in present[self.rank])])
        sizes = [header.nbytes + sum(layout.nbytes(rows[shard]) for shard in shards) for shards in present]
        received = self._to_all(content, sizes, "the outputs of its shards")
        arrays: dict[int, list[Array]] = {shard: each for shard, (_, each) in results.items()}
        for rank in self._others:
            self._compare_headers(rank, received[rank][: header.nbytes].view(np.int64), header)
            at = header.nbytes
            for shard in present[rank]:
                stop = at + layout.nbytes(rows[shard])
                arrays[shard] = layout.unpacked(received[rank][at:stop], rows[shard])
                at = stop
        return layout, [arrays[shard] for shard in sorted(arrays)]

    def _compare_headers(self, rank: int, header: Array, expected: Array) -> None:
        if header.tobytes() == expected.tobytes():
            return
        here, there = (
            f"{'trains on' if training else 'runs'} a batch of {rows} rows in pass {number + 1}"
            for number, training, rows, _ in (expected.tolist(), header.tolist())
        )
        raise ValueError(
            f"processes must do the same, but process {self.rank} {here}, and process {rank} {there}"
            f"{', with other outputs' if here == there else ''}"
        )

    def sum_gradients(self, sums: dict[tree.Node, Array], bounds: Sequence[tuple[int, int]], gradients: Array) -> None:
        nodes_of = [[node for node in nodes if bounds[node[0]][0] < bounds[node[1] - 1][1]] for nodes in self._nodes_of]
        if self.size == 2 or gradients.nbytes <= _SMALL:
            whole = slice(0, gradients.size)
            gradients[...] = self._summed(sums, nodes_of, [whole] * self.size, gradients)
            return
        ranges = [
            slice(gradients.size * rank // self.size, gradients.size * (rank + 1) // self.size)
            for rank in range(self.size)
        ]
        mine = gradients[ranges[self.rank]]
        mine[...] = self._summed(sums, nodes_of, ranges, gradients)
        sends = [(rank, mine) for rank in self._others]
        self._swap(sends, [(rank, gradients[ranges[rank]]) for rank in self._others], "its range of the gradients")

    def _summed(
        self, sums: dict[tree.Node, Array], nodes_of: Sequence[list[tree.Node]], ranges: Sequence[slice], like: Array
    ) -> Array:
        """Send each process its range of the sums, and return the total of this one's."""
        sends = [(rank, sums[node][ranges[rank]]) for rank in self._others for node in nodes_of[self.rank]]
        mine = ranges[self.rank]
        parts = {node: sums[node][mine] for node in nodes_of[self.rank]}
        lent = []
        receives = []
        for rank in self._others:
            for node in nodes_of[rank]:
                parts[node] = self._adder.take(mine.stop - mine.start, like.dtype)
                lent.append(parts[node])
                receives.append((rank, parts[node]))
        self._swap(sends, receives, "the gradients of its shards")
        total = tree.total((0, self._shards), parts)
        assert total is not None
        for vector in lent:
            self._adder.give(vector)
        return total

    def gather(self, value: Any) -> list[Any]:
        content = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = self._to_all(np.array([content.nbytes], np.int64).view(np.uint8), [8] * self.size, "a size")
        received = self._to_all(content, [int(each.view(np.int64)[0]) for each in sizes], "a value")
        return [value if rank == self.rank else pickle.loads(received[rank].tobytes()) for rank in range(self.size)]

    def _to_all(self, content: Array, sizes: Sequence[int], what: str) -> list[Array]:
        """Send bytes to all processes, and return what each of them sent."""
        received = [content if rank == self.rank else np.empty(sizes[rank], np.uint8) for rank in range(self.size)]
        self._swap([(rank, content) for rank in self._others], [(rank, received[rank]) for rank in self._others], what)
        return received

    # Messages.

    def _swap(self, sends: Messages, receives: Messages, what: str) -> None:
        """Send and receive arrays; `what` is what an error says that a process has not sent."""
        receiving = [self._world.Irecv(_bytes(array), rank, _EXCHANGE) for rank, array in receives]
        sending = [self._world.Isend(_bytes(array), rank, _EXCHANGE) for rank, array in sends]
        try:
            self._wait([*receiving, *sending], lambda: self._missing(receiving, receives), what)
        except Exception as error:
            if type(error).__module__.startswith("mpi4py"):
                raise ValueError(
                    f"processes must do the same, but process {self.rank} got something else than {what} ({error}): "
                    "start all of them with the same script and data"
                ) from error
            raise

    @staticmethod
    def _missing(receiving: Sequence[Any], receives: Messages) -> list[int]:
        return sorted({rank for request, (rank, _) in zip(receiving, receives, strict=True) if not request.Test()})

    def _wait(self, requests: list[Any], missing: Callable[[], list[int]], what: str) -> None:
        testall, looks = self._testall, 0
        deadline = 0.0
        while not testall(requests):
            looks += 1
            if looks > _YIELDS:
                time.sleep(_SLEEP)
            elif looks > _LOOKS:
                os.sched_yield()
            if looks % _CLOCK:
                continue
            now = time.monotonic()
            deadline = deadline or now + self._timeout
            if self._world.Iprobe(tag=_END):
                self._check_ended(missing(), what)
            if now > deadline:
                ranks = missing()
                late = f"process {_listed(ranks)}" if ranks else "another process"
                raise TimeoutError(
                    f"{late} of {self.size} has not sent {what} for {self._timeout:g} s, for which process {self.rank} "
                    f"waits in pass {self._exchanges}: it hangs, is too slow, or does something else"
                )

    def _check_ended(self, ranks: list[int], what: str) -> None:
        for rank in ranks:
            if self._world.Iprobe(source=rank, tag=_END):
                raise ConnectionError(
                    f"process {rank} of {self.size} has ended, and process {self.rank} waits for {what}: "
                    "all processes must run the same script"
                )

    # The end of a process.

    def end(self) -> None:
        """Tell the other processes that this one ends, in case they wait for it."""
        for rank in self._others:
            with contextlib.suppress(Exception):
                self._world.Isend(np.empty(0, np.uint8), rank, _END)

    def abort_on_errors(self) -> None:
        """Let an error that ends this process end the whole job, with the number of the process in front of it."""
        before = sys.excepthook

        def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            lines = "".join(traceback.format_exception(kind, error, trace))
            sys.stdout.flush()
            print(
                f"\nProcess {self.rank} of {self.size} failed, which ends the job:\n{lines}",
                file=sys.stderr,
                flush=True,
            )
            if before is not sys.__excepthook__:
                before(kind, error, trace)
            self._world.Abort(1)

        sys.excepthook = excepthook


def _bytes(array: Array) -> Array:
    return array.view(np.uint8)


def _listed(ranks: Sequence[int]) -> str:
    return ", ".join(map(str, ranks))
