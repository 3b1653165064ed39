"""The Quo sink against the fake Quo: the contract, and what is particular to Quo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import httpx
import pytest
from msgspec.structs import replace

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.items.contact import Contact
from syncfsm.sinks import open_sink
from syncfsm.sinks.protocol import UpsertResult
from syncfsm.sinks.quo.mapping import EXTENSIONS, LONG_URLS, NO_NUMBERS, WITHOUT_PHONE
from syncfsm_simulator.fakes.quo.app import QuoError
from tests.contracts.sink import ADA, NOBODY, SinkContract, run, upsert
from tests.quo import KEY, PARTNER_KEY, Quo

ONE = "/v1/contacts/{id}"
BULK = "/v1/contacts/bulk"


class _QuoContract(SinkContract):
    is_bulk = False
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def quo(self) -> Quo:
        return Quo(**self.settings)

    @pytest.fixture
    def fresh(self):
        def make():
            quo = Quo(**self.settings)
            return quo.sink(is_bulk=self.is_bulk), quo.stored

        return make

    @pytest.fixture
    def sink(self, quo: Quo):
        sink = quo.sink(is_bulk=self.is_bulk)
        yield sink
        run(sink.aclose())
        assert not quo.count("GET", 429)

    @pytest.fixture
    def stored(self, quo: Quo):
        return quo.stored


class TestQuoSink(_QuoContract):
    pass


class TestQuoSinkWhereAPatchReplacesArrays(_QuoContract):
    settings: ClassVar[dict[str, Any]] = {"patch_arrays": "replace"}


class TestQuoSinkInBulk(_QuoContract):
    is_bulk = True


class TestQuoSinkWhereNewContactsAreSeenLate(_QuoContract):
    shows_at_once = False
    settings: ClassVar[dict[str, Any]] = {"seen_after_s": 5.0}


def people(count: int, **fields: Any) -> list[Contact]:
    return [replace(ADA, external_id=f"p{index}", **fields) for index in range(count)]


class Intercepted(httpx.AsyncBaseTransport):
    """Lets a test answer some requests itself, before or after Quo does."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
        self.after: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.before(request)
        if answer is not None:
            return answer
        response = await self.inner.handle_async_request(request)
        return self.after(request) or response


def intercepted(quo: Quo) -> Intercepted:
    quo.transport = Intercepted(quo.transport)
    return quo.transport


class Refusing:
    """Refuses every POST, and counts them."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.count = 0
        self._status = status
        self._headers = headers

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        self.count += 1
        return httpx.Response(self._status, headers=self._headers, content=b"{}")


def refused(status: int, words: str = "It went wrong.", **body: Any) -> httpx.Response:
    reply = QuoError(status, words, **body).reply()
    return httpx.Response(status, content=reply.body)


# ── looking up ───────────────────────────────────────────────────────────────────────────────


def test_a_page_is_looked_up_twenty_contacts_a_request() -> None:
    quo = Quo()
    assert upsert(quo.sink(), *people(50)) == UpsertResult(created=50)
    assert quo.count("GET", 200) == 3
    assert quo.count("GET", 400) == 0


def test_where_quo_has_nobody_of_the_source_nothing_is_looked_up_before_it_is_written() -> None:
    quo = Quo()
    sink = quo.sink()
    run(sink.check())
    assert upsert(sink, *people(50)) == UpsertResult(created=50)
    assert quo.count("GET", 200) == 1
    assert upsert(sink, *people(50)) == UpsertResult(unchanged=50)
    assert len(quo.stored()) == 50


def test_a_second_run_writes_nothing() -> None:
    quo = Quo()
    upsert(quo.sink(), *people(50))
    writes = quo.fake.contacts.writes
    sink = quo.sink()
    run(sink.check())
    assert upsert(sink, *people(50)) == UpsertResult(unchanged=50)
    assert quo.fake.contacts.writes == writes


def test_a_contact_that_exists_and_is_not_seen_yet_is_found_and_patched() -> None:
    quo = Quo(seen_after_s=10.0)
    upsert(quo.sink(), ADA)
    countess = replace(ADA, role="Countess")
    assert upsert(quo.sink(), countess) == UpsertResult(updated=1)
    assert quo.count("POST", 409) == 1
    assert quo.stored() == {countess}


def test_a_contact_that_quo_has_and_never_shows_is_rejected_and_the_rest_goes_through() -> None:
    quo = Quo(seen_after_s=1000.0)
    upsert(quo.sink(), ADA)
    result = upsert(quo.sink(), ADA, NOBODY)
    assert (result.created, [reject.record_id for reject in result.rejects]) == (1, ["a1"])
    assert "does not show it" in result.rejects[0].reason


def test_of_two_contacts_with_one_key_the_oldest_is_the_one_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quo = Quo()
    upsert(quo.sink(), ADA)
    contacts = quo.fake.contacts
    (first,) = contacts.by_id.values()
    contacts.by_id["0"] = twin = replace(first, id="0", default_fields=replace(first.default_fields))
    twin.created_at = quo.clock.now()
    monkeypatch.setattr(contacts, "listed", lambda *_asked: [twin, first])
    assert upsert(quo.sink(), replace(ADA, role="Countess")) == UpsertResult(updated=1)
    assert (first.default_fields.role, twin.default_fields.role) == ("Countess", ADA.role)


def test_after_a_failure_everybody_is_looked_up_since_some_may_be_there() -> None:
    quo = Quo()
    door = intercepted(quo)
    sink = quo.sink()
    run(sink.check())
    door.before = Refusing(500)
    assert isinstance(run(sink.upsert(people(20))), Failure)
    door.before = lambda _request: None
    assert upsert(sink, *people(20)) == UpsertResult(created=20)
    assert quo.count("GET", 200) == 2


# ── emails and phone numbers ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("patch_arrays", ["append", "replace"])
def test_emails_and_phones_neither_multiply_nor_vanish_in_ten_syncs(patch_arrays: str) -> None:
    quo = Quo(patch_arrays=patch_arrays)
    for turn in range(10):
        ada = replace(
            ADA,
            role=f"role {turn}",
            emails=("ada@mail.example", "b@mail.example", "c@mail.example")[: turn % 4],
            phone_numbers=("+14155550132", "+442079460018")[turn % 2 :],
        )
        upsert(quo.sink(), ada)
        assert quo.stored() == {ada}


@pytest.mark.parametrize("patch_arrays", ["append", "replace"])
def test_what_somebody_added_in_quo_under_another_label_stays(patch_arrays: str) -> None:
    quo = Quo(patch_arrays=patch_arrays)
    upsert(quo.sink(), ADA)
    (contact,) = quo.fake.contacts.by_id.values()
    phones = contact.default_fields.phone_numbers
    phones[0].name = "mobile"
    phones.append(type(phones[0])("item-1", "home", "+14155550199"))
    assert upsert(quo.sink(), ADA) == UpsertResult(unchanged=1)
    assert upsert(quo.sink(), replace(ADA, role="Countess")) == UpsertResult(updated=1)
    assert {(item.name, item.value) for item in contact.default_fields.phone_numbers} == {
        ("mobile", "+14155550132"),
        ("home", "+14155550199"),
        ("Phone", "+442079460018"),
    }


def test_numbers_are_sent_as_quo_gives_them_back_and_so_found_unchanged() -> None:
    quo = Quo()
    contact = replace(ADA, phone_numbers=("(415) 555-0132", "+44 20 7946 0018", "415-555-0132"))
    assert upsert(quo.sink(default_region="US"), contact) == UpsertResult(created=1)
    assert quo.stored() == {replace(ADA, phone_numbers=("+14155550132", "+442079460018"))}
    assert upsert(quo.sink(default_region="US"), contact) == UpsertResult(unchanged=1)


def test_a_number_that_is_none_is_left_out_and_counted_and_the_person_goes_through() -> None:
    quo = Quo()
    contact = replace(ADA, phone_numbers=("call me", "4155550132", "+1 415 555 0132 ext. 7"))
    result = upsert(quo.sink(), contact)
    assert result == UpsertResult(created=1, left_out={NO_NUMBERS: 2, EXTENSIONS: 1})
    assert quo.stored() == {replace(ADA, phone_numbers=("+14155550132",))}


def test_people_without_a_phone_number_go_through() -> None:
    quo = Quo()
    assert upsert(quo.sink(), NOBODY) == UpsertResult(created=1)


def test_people_without_a_phone_number_are_left_out_if_so_asked_and_counted() -> None:
    quo = Quo()
    unreachable = replace(ADA, external_id="a2", phone_numbers=("call me",))
    result = upsert(quo.sink(require_phone=True), ADA, NOBODY, unreachable)
    assert result == UpsertResult(created=1, unchanged=2, left_out={WITHOUT_PHONE: 2})
    assert quo.stored() == {ADA}


# ── what Quo cannot take ─────────────────────────────────────────────────────────────────────


def test_a_source_url_that_is_too_long_is_left_out_and_counted() -> None:
    quo = Quo()
    result = upsert(quo.sink(), replace(ADA, source_url="https://x.example/" + "x" * 200))
    assert result == UpsertResult(created=1, left_out={LONG_URLS: 1})
    assert quo.stored() == {replace(ADA, source_url=None)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"external_id": "x" * 76}, "an external id of 1 to 75 characters, not 76"),
        ({"external_id": ""}, "an external id of 1 to 75 characters, not 0"),
        ({"source": "other"}, "keeps the source name 'other' for itself"),
        ({"source": "openphone-attio"}, "keeps the source name 'openphone-attio' for itself"),
        ({"source": "csv2"}, "keeps the source name 'csv2' for itself"),
        ({"source": "x" * 73}, "a source name of 1 to 72 characters, not 73"),
    ],
)
def test_what_quo_could_not_keep_apart_is_rejected_before_it_is_sent(
    change: dict[str, str], words: str
) -> None:
    quo = Quo()
    result = upsert(quo.sink(), ADA, replace(ADA, **change))
    assert (result.created, len(result.rejects)) == (1, 1)
    assert words in result.rejects[0].reason
    assert quo.count("POST", 400) == 0


def test_a_source_name_that_quo_keeps_fails_the_check() -> None:
    failure = run(Quo().sink(source="zapier").check())
    assert isinstance(failure, Failure)
    assert "keeps the source name 'zapier' for itself: choose another" in failure.message


@pytest.mark.parametrize("is_bulk", [False, True])
def test_a_contact_that_quo_refuses_is_rejected_with_the_field_and_without_its_value(is_bulk: bool) -> None:
    quo = Quo()
    bad = replace(ADA, external_id="bad", source_url="not a url, but a secret")
    result = upsert(quo.sink(is_bulk=is_bulk), ADA, bad)
    assert (result.created, [reject.record_id for reject in result.rejects]) == (1, ["bad"])
    assert result.rejects[0].reason == "Quo answered 400 0801400 at sourceUrl."


def test_nothing_that_quo_says_in_a_refusal_is_repeated() -> None:
    quo = Quo()
    door = intercepted(quo)
    errors = [
        {"path": "/defaultFields/emails/0/value", "message": "ada@mail.example is bad", "schema": {}},
        {"path": "/ada@mail.example", "message": "", "schema": {}},
    ]
    door.before = lambda request: (
        refused(400, f"ada@mail.example {KEY}", errors=errors) if request.method == "POST" else None
    )
    (reject,) = upsert(quo.sink(), ADA).rejects
    assert reject.reason == "Quo answered 400 0801400 at defaultFields.emails.0.value."


# ── failures ─────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_key_says_which_variable_and_that_new_keys_take_a_while() -> None:
    failure = run(Quo().sink(api_key="another").check())
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.UNAUTHORIZED
    assert "set QUO_API_KEY" in failure.message
    assert "half a minute" in failure.message


def test_a_wrong_partner_key_says_which_variable() -> None:
    quo = Quo()
    failure = run(quo.sink(partner_key="another").upsert([ADA]))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.FORBIDDEN
    assert "set QUO_PARTNER_KEY, or do without --quo-bulk" in failure.message


def test_a_workspace_without_the_bulk_route_says_to_do_without() -> None:
    quo = Quo()
    door = intercepted(quo)
    door.before = lambda request: refused(404) if request.url.path == BULK else None
    failure = run(quo.sink(is_bulk=True).upsert([ADA]))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.FORBIDDEN
    assert "has no bulk route for this key: set QUO_PARTNER_KEY, or do without" in failure.message


@pytest.mark.parametrize("variable", ["QUO_API_KEY", "QUO_PARTNER_KEY"])
def test_keys_are_in_no_repr_and_in_no_failure(variable: str) -> None:
    quo = Quo()
    door = intercepted(quo)
    door.before = lambda _request: httpx.Response(500, text=f"no service for {KEY}, {PARTNER_KEY}")
    sink = quo.sink(is_bulk=True)
    said = f"{sink!r} {vars(sink)} {run(sink.check())} {run(sink.upsert([ADA]))}"
    assert {"QUO_API_KEY": KEY, "QUO_PARTNER_KEY": PARTNER_KEY}[variable] not in said


def test_one_failure_lets_the_rest_through_and_the_counts_are_those_of_all_tries() -> None:
    quo = Quo()
    door = intercepted(quo)
    bad = [True]
    door.before = lambda request: refused(500) if b'"p7"' in request.content and bad and bad.pop() else None
    sink = quo.sink()
    failure = run(sink.upsert(people(50)))
    assert isinstance(failure, Failure)
    assert (failure.kind, len(quo.stored())) == (FailureKind.UNAVAILABLE, 49)
    assert upsert(sink, *people(50)) == UpsertResult(created=50)
    assert upsert(sink, *people(50)) == UpsertResult(unchanged=50)


def test_a_create_whose_answer_never_came_is_no_duplicate_and_counts_as_created() -> None:
    quo = Quo(seen_after_s=3.0)
    door = intercepted(quo)

    def lose(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and b'"a1"' in request.content:
            door.after = lambda _request: None
            raise httpx.ReadTimeout("no answer", request=request)
        return None

    door.after = lose
    sink = quo.sink()
    failure = run(sink.upsert([ADA, NOBODY]))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TIMEOUT
    assert upsert(sink, ADA, NOBODY) == UpsertResult(created=2)
    assert quo.stored() == {ADA, NOBODY}


@pytest.mark.parametrize("patch_arrays", ["append", "replace"])
def test_a_patch_whose_answer_never_came_adds_nothing_twice(patch_arrays: str) -> None:
    quo = Quo(patch_arrays=patch_arrays)
    upsert(quo.sink(), ADA)
    door = intercepted(quo)
    more = replace(ADA, emails=("ada@mail.example", "b@mail.example"))
    door.after = lambda request: refused(500) if request.method == "PATCH" else None
    sink = quo.sink()
    assert isinstance(run(sink.upsert([more])), Failure)
    door.after = lambda _request: None
    assert upsert(sink, more).rejects == ()
    assert quo.stored() == {more}


def test_a_server_that_is_ill_is_left_alone() -> None:
    quo = Quo()
    door = intercepted(quo)
    door.before = asked = Refusing(500)
    assert isinstance(run(quo.sink().upsert(people(200))), Failure)
    assert asked.count < 40


def test_a_429_ends_the_try_with_the_wait_that_quo_asks_for() -> None:
    quo = Quo()
    door = intercepted(quo)
    door.before = asked = Refusing(429, {"Retry-After": "7"})
    failure = run(quo.sink().upsert(people(200)))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry_after_s) == (FailureKind.RATE_LIMITED, 7.0)
    assert asked.count < 40


def test_a_contact_deleted_between_the_look_up_and_the_patch_is_created_anew() -> None:
    quo = Quo()
    upsert(quo.sink(), ADA)
    door = intercepted(quo)

    def delete(request: httpx.Request) -> None:
        if request.method == "PATCH":
            (contact,) = quo.fake.contacts.by_id.values()
            quo.fake.contacts.delete(contact)

    door.before = delete
    countess = replace(ADA, role="Countess")
    assert upsert(quo.sink(), countess) == UpsertResult(created=1)
    assert quo.stored() == {countess}


# ── bulk ─────────────────────────────────────────────────────────────────────────────────────


def test_new_contacts_go_fifty_a_request_and_changed_ones_are_patched() -> None:
    quo = Quo()
    upsert(quo.sink(), *people(10))
    changed = people(10, role="Countess")
    result = upsert(quo.sink(is_bulk=True), *changed, *people(130)[10:])
    assert result == UpsertResult(created=120, updated=10)
    assert (quo.count("POST", 202, BULK), quo.count("PATCH", 200, ONE)) == (3, 10)
    assert quo.stored() == {*changed, *people(130)[10:]}


@pytest.mark.parametrize("bulk_after_s", [0.1, 3.0, 20.0, 600.0])
def test_a_bulk_that_is_late_is_waited_for_and_makes_no_duplicates(bulk_after_s: float) -> None:
    quo = Quo(bulk_after_s=bulk_after_s)
    assert upsert(quo.sink(is_bulk=True), *people(120)) == UpsertResult(created=120)
    run(quo.clock.sleep(1000))
    assert upsert(quo.sink(), *people(120)) == UpsertResult(unchanged=120)
    assert len(quo.stored()) == 120


def test_what_a_bulk_loses_is_created_one_by_one() -> None:
    quo = Quo(bulk_loses=0.1)
    assert upsert(quo.sink(is_bulk=True), *people(200)) == UpsertResult(created=200)
    assert 5 < quo.count("POST", 201) < 50
    assert quo.stored() == set(people(200))


def test_a_bulk_whose_answer_never_came_makes_no_duplicates() -> None:
    quo = Quo()
    door = intercepted(quo)
    door.after = lambda request: refused(500) if request.url.path == BULK else None
    assert upsert(quo.sink(is_bulk=True), *people(120)) == UpsertResult(created=120)
    assert quo.stored() == set(people(120))


# ── opening ──────────────────────────────────────────────────────────────────────────────────


def test_the_sink_opens_with_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUO_API_KEY", KEY)
    assert open_sink("quo:").name == "quo:"
    assert open_sink("quo:http://127.0.0.1:8787").name == "quo:http://127.0.0.1:8787"
    monkeypatch.setenv("QUO_API_KEY", " ")
    with pytest.raises(ConfigurationError, match="set QUO_API_KEY"):
        open_sink("quo:")


def test_a_region_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'USA' is no region"):
        Quo().sink(default_region="USA")


def test_without_its_extra_the_sink_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "phonenumbers", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'syncfsm\[quo\]'"):
        Quo().sink()
