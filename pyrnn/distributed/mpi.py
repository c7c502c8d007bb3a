"""`MpiCommunicator`: processes that MPI has started exchange the results of shards through mpi4py."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import sys
import time
import traceback
import zlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyrnn.distributed import tree
from pyrnn.distributed.communicator import Communicator, GradientSum
from pyrnn.distributed.packing import Layout, packed

Array = NDArray[Any]
Messages = Sequence[tuple[int, Array]]

# Tags of messages: those of an exchange, and the last one of a process.
_EXCHANGE, _END = 1, 2
# How often a wait only looks before it lets other processes run, and before it sleeps.
_LOOKS, _YIELDS = 64, 4096
_SLEEP = 1e-4
# How often a wait looks at the clock.
_CLOCK = 256
# Up to this many bytes a process sends its sums to all others; larger ones are summed in ranges, one per process.
_SMALL = 1 << 15
_HEADER = 4


class Posted(NamedTuple):
    """Messages under way.

    Args:
        requests: those of receives, then those of sends.
        sources: from whom the receives are.
    """

    requests: list[Any]
    sources: list[int]

    def missing(self) -> list[int]:
        """Return the processes that have not sent."""
        pairs = zip(self.requests, self.sources, strict=False)
        return sorted({rank for request, rank in pairs if not request.Test()})


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
        self.others = [rank for rank in range(self.size) if rank != self.rank]
        self._exchanges = 0
        self._shards_of = [range(*tree.shards_of_rank(rank, self.size, shards)) for rank in range(self.size)]
        self._nodes_of = [tree.whole_nodes(each.start, each.stop, shards) for each in self._shards_of]
        self._testall = sys.modules["mpi4py.MPI"].Request.Testall

    # Exchanges.

    def gather_shards(
        self,
        layout: Layout | None,
        results: Mapping[int, list[Array]],
        bounds: Sequence[tuple[int, int]],
        training: bool,
    ) -> tuple[Layout, list[list[Array]]]:
        rows = [stop - start for start, stop in bounds]
        present = [[shard for shard in shards if rows[shard]] for shards in self._shards_of]
        if not all(present):  # every process knows that one of them has no rows
            layout = next(each for each in self.gather(layout) if each is not None)
        assert layout is not None
        header = np.array([self._exchanges, training, sum(rows), zlib.crc32(repr(layout).encode())], np.int64)
        self._exchanges += 1
        content = packed([[header], *(results[shard] for shard in present[self.rank])])
        sizes = [header.nbytes + sum(layout.nbytes(rows[shard]) for shard in shards) for shards in present]
        received = self._to_all(content, sizes, "the outputs of its shards")
        arrays = dict(results)
        for rank in self.others:
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

    def begin_sum(self, bounds: Sequence[tuple[int, int]], gradients: Array, adder: tree.Adder) -> GradientSum:
        nodes_of = [[node for node in nodes if bounds[node[0]][0] < bounds[node[1] - 1][1]] for nodes in self._nodes_of]
        return _MpiSum(self, (0, self._shards), nodes_of, gradients, adder)

    def gather(self, value: Any) -> list[Any]:
        content = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = self._to_all(np.array([content.nbytes], np.int64).view(np.uint8), [8] * self.size, "a size")
        received = self._to_all(content, [int(each.view(np.int64)[0]) for each in sizes], "a value")
        return [value if rank == self.rank else pickle.loads(received[rank].tobytes()) for rank in range(self.size)]

    def _to_all(self, content: Array, sizes: Sequence[int], what: str) -> list[Array]:
        """Send bytes to all processes, and return what each of them sent."""
        received = [content if rank == self.rank else np.empty(sizes[rank], np.uint8) for rank in range(self.size)]
        self._swap([(rank, content) for rank in self.others], [(rank, received[rank]) for rank in self.others], what)
        return received

    # Messages.

    def post(self, sends: Messages, receives: Messages) -> Posted:
        """Begin to send and receive arrays, which must stay as they are until `complete`.

        Args:
            sends: processes, and the arrays that they get.
            receives: processes, and the arrays that receive what they send.
        """
        receiving = [self._world.Irecv(_bytes(array), rank, _EXCHANGE) for rank, array in receives]
        sending = [self._world.Isend(_bytes(array), rank, _EXCHANGE) for rank, array in sends]
        posted = Posted([*receiving, *sending], [rank for rank, _ in receives])
        self._testall(posted.requests)  # lets MPI work
        return posted

    def complete(self, posted: Posted, what: str) -> None:
        """Wait until messages are sent and received.

        Args:
            posted: what `post` returned.
            what: what an error says that a process has not sent.
        """
        try:
            self._wait(posted, what)
        except Exception as error:
            if type(error).__module__.startswith("mpi4py"):
                raise ValueError(
                    f"processes must do the same, but process {self.rank} got something else than {what} ({error}): "
                    "start all of them with the same script and data"
                ) from error
            raise

    def _swap(self, sends: Messages, receives: Messages, what: str) -> None:
        self.complete(self.post(sends, receives), what)

    def _wait(self, posted: Posted, what: str) -> None:
        requests = posted.requests
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
                self._check_ended(posted.missing(), what)
            if now > deadline:
                ranks = posted.missing()
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
        for rank in self.others:
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


class _MpiSum(GradientSum):
    """The sum of the gradients of the shards of all processes, whose blocks are under way from `send` on.

    Two processes send each other their sums; so do more if a block is small. Otherwise each process gets one range of
    every block from all others, sums it, and sends them the result in `finish`.
    """

    def __init__(
        self,
        communicator: MpiCommunicator,
        node: tree.Node,
        nodes_of: Sequence[list[tree.Node]],
        gradients: Array,
        adder: tree.Adder,
    ) -> None:
        super().__init__(node, gradients)
        self._adder = adder
        self._communicator, self._nodes_of = communicator, nodes_of
        self._blocks: list[tuple[Posted, list[slice], dict[tree.Node, Array], list[Array]]] = []

    def send(self, block: slice, sums: Mapping[tree.Node, Array]) -> None:
        communicator = self._communicator
        rank, size = communicator.rank, communicator.size
        count = block.stop - block.start
        if size == 2 or count * self._gradients.itemsize <= _SMALL:
            ranges = [block] * size
        else:
            cuts = [block.start + count * number // size for number in range(size + 1)]
            ranges = [slice(*each) for each in itertools.pairwise(cuts)]
        mine = ranges[rank]
        parts = {node: sums[node][mine] for node in self._nodes_of[rank]}
        sends = [(other, sums[node][ranges[other]]) for other in communicator.others for node in self._nodes_of[rank]]
        receives, lent = [], []
        for other in communicator.others:
            for node in self._nodes_of[other]:
                parts[node] = self._adder.take(mine.stop - mine.start, self._gradients.dtype)
                lent.append(parts[node])
                receives.append((other, parts[node]))
        self._blocks.append((communicator.post(sends, receives), ranges, parts, lent))

    def finish(self) -> None:
        communicator = self._communicator
        rank, second = communicator.rank, []
        for posted, ranges, parts, lent in self._blocks:
            communicator.complete(posted, "the gradients of its shards")
            total = tree.total(self._node, parts)
            assert total is not None
            self._gradients[ranges[rank]] = total
            for vector in lent:
                self._adder.give(vector)
            if ranges[0] != ranges[-1]:
                sends = [(other, self._gradients[ranges[rank]]) for other in communicator.others]
                receives = [(other, self._gradients[ranges[other]]) for other in communicator.others]
                second.append(communicator.post(sends, receives))
        for posted in second:
            communicator.complete(posted, "its range of the gradients")


def _bytes(array: Array) -> Array:
    return array.view(np.uint8)


def _listed(ranks: Sequence[int]) -> str:
    return ", ".join(map(str, ranks))
