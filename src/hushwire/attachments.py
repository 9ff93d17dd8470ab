"""The parts for media: where they lie, who fetches them, who may get them.

`assemble` makes one `Attachments` a server, as it makes one `Monitoring`.
"""

from collections.abc import Callable, Sequence

from starlette.routing import Route

from hushwire.actions.downloads import Downloads, Trouble
from hushwire.actions.media import Media, MediaLinks
from hushwire.actions.messages import Messages
from hushwire.api.door import Door
from hushwire.api.media import MediaResource
from hushwire.clock import Clock, Entropy
from hushwire.dispatch.fetch import AT_ONCE, OF_A_LANE, Fetcher, MediaHolds
from hushwire.dispatch.lanes import Worker
from hushwire.domain.message import Message
from hushwire.domain.task import TaskKind
from hushwire.errors import Refusal, Unavailable
from hushwire.observe import Journal
from hushwire.outbound import Guard, HttpClient
from hushwire.private import Private
from hushwire.settings import Settings
from hushwire.store.custodian import Custodian
from hushwire.store.media import MediaTable, SealedFile
from hushwire.store.objects import Objects
from hushwire.store.store import Store
from hushwire.vault.slots import Slots


class Attachments:
    """Make it once the store is there; `start` it when the server starts working."""

    def __init__(
        self, settings: Settings, store: Store, slots: Slots, clock: Clock, entropy: Entropy,
        base_url: Callable[[], str],
    ) -> None:  # fmt: skip
        objects = Objects(settings.media_url, settings.data, slots.vault_id.hex(), entropy)
        self.table = MediaTable(store, slots, objects, entropy)
        self._links = MediaLinks(store, clock, settings.media_access, base_url)
        self._store = store
        self._clock = clock

    def start(
        self, client: HttpClient | None, guard: Guard, journal: Journal, custodian: Custodian,
        drained: Callable[[TaskKind, int], None],
    ) -> dict[TaskKind, Worker]:  # fmt: skip
        """Begin to fetch, with `client` or one of our own: a slow picture delays no callback."""
        self._own = HttpClient(guard, per_host=OF_A_LANE, overall=2 * AT_ONCE)
        self._downloads = Downloads(self.table, client or self._own)
        self._journal = journal
        self._fetcher = Fetcher(
            self._store, self.table, self._downloads, self._clock, journal,
            drained=drained,
        )  # fmt: skip
        holds = MediaHolds(self._store, self.table, custodian, self._clock)
        return {TaskKind.FETCH: self._fetcher, TaskKind.MEDIA: holds}

    def routes(self, messages: Messages, door: Door) -> list[Route]:
        return MediaResource(messages, Media(self.table), self._links, door).routes()

    def of(self, message: Message) -> list[tuple[str, str]]:
        """URL and content type of each of its media, for its customer."""
        media = self.table.of(message.key) if message.media else []
        return [
            (self._links.url(message, medium).reveal(), medium.content_type) for medium in media
        ]

    def urls(self, message: Message) -> tuple[Private, ...]:
        """Where a network, or a phone, gets the media of a message."""
        return tuple(self._links.url(message, medium) for medium in self.table.of(message.key))

    async def take(self, urls: Sequence[Private]) -> list[SealedFile]:
        """The files that a phone sends. Raises Refusal when they cannot be had."""
        files = await self._downloads.take([url.reveal() for url in urls])
        if isinstance(files, Trouble):
            raise Refusal("media_invalid")
        return files

    async def sweep(self) -> None:
        """Finish what earlier starts left half done; tell when the media lie elsewhere."""
        try:
            swept = await self.table.sweep()
        except Unavailable as failed:
            self._journal.library("warning", "obstore", "", failed.__cause__)
            self._journal.media_unswept("unavailable", 0)
            return
        if swept.elsewhere:
            self._journal.media_unswept("elsewhere", swept.elsewhere)

    def busy(self) -> int:
        """Messages whose media are being fetched, and objects being removed."""
        return self._fetcher.busy() + self.table.busy()

    async def stop(self) -> None:
        """Fetch no more."""
        await self._fetcher.stop()
        self._own.close()

    async def close(self) -> None:
        """After the store: nothing is attached or forgotten any more."""
        await self.table.close()
