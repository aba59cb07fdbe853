"""Kumo Relational behind an endpoint, against a stand-in on a loopback port that refuses whatever is not its contract.

What the stand-in answers comes of what is alike among the examples it was sent, so each test of a mapping lets the
label hang on one thing only.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sdm_client", reason="the extra nim is not installed")

from asking import ask
from kumo_endpoint import Endpoint, kumo_endpoint

from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model
from dbt_rfm.model.families.kumo import remote
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions
from dbt_rfm.model.neighbourhood import Neighbourhood, RowLink, RowTable
from dbt_rfm.task_kind import TaskKind

NOTHING = FeatureTable((), (), ())
FT = ("false", "true")
KEY = "nvapi-very-secret"


@pytest.fixture(autouse=True)
def no_key_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBT_RFM_KUMO_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with kumo_endpoint() as found:
        yield found


def model(endpoint: Endpoint, **options: Any) -> Any:
    return load_model("kumo", "cpu", {"endpoint": endpoint.url, **options})


def labels_of(count: int) -> np.ndarray:
    return np.arange(count) // 2 % 2


def examples(count: int, *, by: str = "", word: str = "x", lonely: tuple[int, ...] = ()) -> FeatureTable:
    """Entities with a row of their own and events; all alike, but for what is told `by`, which follows the label.

    The rows of the tables are in another order than the examples.
    """
    label = labels_of(count)
    rng = np.random.default_rng(count)
    shuffled = rng.permutation([i for i in range(count) if i not in lonely])
    own = np.full(count, -1)
    own[shuffled] = np.arange(len(shuffled))
    size = np.where(by == "own number", label[shuffled], 0.0)
    entities = RowTable(table(size=size), NOTHING, shuffled, 0 * shuffled)

    whose = rng.permutation(np.repeat(shuffled, 1 + (label[shuffled] if by == "how many" else 0)))
    amount = np.where(by == "linked number", 10.0 * label[whose], 3.0)
    kind = np.where((label[whose] == 1) & (by == "linked word"), "z", "y").astype(object)
    age = np.where(by == "age", 5.0 + 300 * label[whose], 7.25)
    events = RowTable(table(amount=amount, kind=kind), table(at=age), whose, 0 * whose + 1)
    link = RowLink("events.entity -> entities", "events", "entities", np.arange(len(whose)), own[whose])

    rows = Neighbourhood("entities", own, {"events": events, "entities": entities}, (link,))
    past = np.where(by == "feature", label, 1.0)
    return replace(table(past=past, segment=np.full(count, word, dtype=object)), rows=rows)


def table(**columns: np.ndarray) -> FeatureTable:
    kinds = tuple("categorical" if values.dtype == object else "numerical" for values in columns.values())
    return FeatureTable(tuple(columns), kinds, tuple(columns.values()))


def churn(of: Any, context: FeatureTable, query: FeatureTable, labels: np.ndarray | None = None) -> Predictions:
    given = labels_of(context.num_rows) if labels is None else labels
    return ask(of, context, given, query, TaskKind.BINARY, FT)


class TestMapping:
    @pytest.mark.parametrize("by", ["feature", "own number", "how many", "linked number", "linked word", "age"])
    def test__mapping__what_the_label_hangs_on__arrives(self, endpoint: Endpoint, by: str) -> None:
        found = churn(model(endpoint), examples(40, by=by), examples(13, by=by))
        np.testing.assert_array_equal(found.probabilities[:, 1], labels_of(13))

    def test__mapping__nothing_that_the_label_hangs_on__tells_nothing(self, endpoint: Endpoint) -> None:
        found = churn(model(endpoint), examples(40), examples(13))
        assert len(np.unique(found.probabilities, axis=0)) == 1

    def test__mapping__an_entity_without_a_row__has_an_empty_one(self, endpoint: Endpoint) -> None:
        context, query = examples(40, by="feature", lonely=(3, 17)), examples(9, by="feature", lonely=(0, 8))
        found = churn(model(endpoint), context, query)
        np.testing.assert_array_equal(found.probabilities[1:8, 1], labels_of(9)[1:8])
        assert not endpoint.refused

    def test__mapping__examples_that_are_no_entities__are_read_by_their_features(self, endpoint: Endpoint) -> None:
        context, query = (replace(examples(n, by="feature"), rows=None) for n in (40, 9))
        np.testing.assert_array_equal(churn(model(endpoint), context, query).probabilities[:, 1], labels_of(9))

    def test__mapping__missing_values_and_far_times__are_in_the_contracts_form(self, endpoint: Endpoint) -> None:
        def odd(count: int) -> FeatureTable:
            given = examples(count, by="feature")
            assert given.rows is not None
            events = given.rows.tables["events"]
            ages = np.resize([np.nan, -2_920_000.0, 900_000.0, 1e-9, 0.3], events.num_rows)
            words = np.resize(np.array([None, "ä \"quoted\" 'word'", ""], dtype=object), events.num_rows)
            amounts = np.resize([np.nan, 1e100, -0.1, np.inf], events.num_rows)
            changed = replace(events, cells=table(amount=amounts, kind=words), ages=table(at=ages))
            return replace(given, rows=replace(given.rows, tables={**given.rows.tables, "events": changed}))

        assert churn(model(endpoint), odd(40), odd(9)).probabilities.shape == (9, 2)
        assert not endpoint.refused

    def test__mapping__an_age__is_a_time_before_the_anchor(self, endpoint: Endpoint) -> None:
        churn(model(endpoint), examples(40, by="feature"), examples(1))
        sent = json.loads(endpoint.bodies[1])["predict"]
        anchors, moments = (
            [row[table["columns"].index(column)] for row in table["rows"]]
            for table, column in (
                (sent["instance_table"], "__kumo_anchor_time"),
                (sent["related_tables"]["table0"], "moment0"),
            )
        )
        assert (anchors, moments) == (["2000-01-01T00:00:00.000000Z"], ["1999-12-24T18:00:00.000000Z"])

    def test__mapping__a_row_pointing_at_its_own_table__is_linked(self, endpoint: Endpoint) -> None:
        def family(count: int) -> FeatureTable:
            """Two rows each; the second is the parent of the first where the label is true."""
            label = labels_of(count)
            cells = table(size=np.zeros(2 * count))
            rows = RowTable(cells, NOTHING, np.arange(2 * count) % count, np.arange(2 * count) // count)
            child = np.flatnonzero(label)
            link = RowLink("people.parent -> people", "people", "people", count + child, child)
            around = Neighbourhood("people", np.arange(count), {"people": rows}, (link,))
            return replace(table(past=np.ones(count)), rows=around)

        np.testing.assert_array_equal(churn(model(endpoint), family(40), family(9)).probabilities[:, 1], labels_of(9))

    def test__mapping__other_columns_than_those_of_the_context__are_refused(self, endpoint: Endpoint) -> None:
        fitted = model(endpoint).prepare(Labelled(examples(40), labels_of(40), TaskKind.BINARY, FT))
        with pytest.raises(ModelError, match="other columns"):
            fitted.answer(replace(examples(9), rows=None))


class TestPrivacy:
    def test__privacy__names_of_tables_columns_and_classes__stay_here(self, endpoint: Endpoint) -> None:
        classes = ("gold", "silver", "bronze")
        context, labels = examples(40), np.arange(40) % 3
        ask(model(endpoint), context, labels, examples(5), TaskKind.MULTICLASS, classes)
        sent = "".join(endpoint.bodies)
        named = ("gold", "silver", "bronze", "entities", "events", "amount", "segment", "size")
        assert endpoint.bodies and not [name for name in named if name in sent]

    def test__privacy__that_rows_leave__is_said_once(
        self, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="dbt_rfm"):
            for _ in range(2):
                churn(model(endpoint), examples(20), examples(3))
        (told,) = [record.getMessage() for record in caplog.records]
        assert "rows and labels go to the endpoint" in told and endpoint.url.removeprefix("http://") in told

    def test__privacy__a_context_of_one_label__is_not_sent(self, endpoint: Endpoint) -> None:
        found = churn(model(endpoint), examples(20), examples(3), np.ones(20, dtype=int))
        assert (found.probabilities[:, 1] > 0.9).all() and not endpoint.calls


class TestAnswers:
    @pytest.mark.parametrize("number", [3, 10])
    def test__classes__get_a_probability_each(self, endpoint: Endpoint, number: int) -> None:
        label = np.arange(60) % number
        context = replace(examples(60), columns=(label.astype(float), examples(60).columns[1]))
        query = replace(examples(20), columns=(label[:20].astype(float), examples(20).columns[1]))
        classes = tuple(f"class {i}" for i in range(number))
        found = ask(model(endpoint), context, label, query, TaskKind.MULTICLASS, classes)
        assert found.classes == classes
        np.testing.assert_array_equal(found.probabilities.argmax(axis=1), label[:20])

    def test__classes__one_that_the_context_lacks__gets_nothing(self, endpoint: Endpoint) -> None:
        labels = labels_of(40) * 2
        found = ask(
            model(endpoint),
            examples(40, by="feature"),
            labels,
            examples(9, by="feature"),
            TaskKind.MULTICLASS,
            ("a", "b", "c"),
        )
        np.testing.assert_array_equal(found.probabilities, np.eye(3)[labels[:9]])

    def test__classes__more_than_the_endpoint_knows__are_refused_before_anything_is_sent(self, endpoint) -> None:
        with pytest.raises(ModelError, match="at most 10 classes"):
            ask(
                model(endpoint),
                examples(33),
                np.arange(33) % 11,
                examples(5),
                TaskKind.MULTICLASS,
                tuple("abcdefghijk"),
            )
        assert not endpoint.calls

    def test__numbers__come_with_the_endpoints_quantiles(self, endpoint: Endpoint) -> None:
        context, query = examples(200, by="feature"), examples(8, by="feature")
        noise = np.random.default_rng(0).uniform(-1, 1, 200)
        found = ask(model(endpoint), context, 100 * labels_of(200) + noise, query, TaskKind.REGRESSION, ())
        assert found.levels == tuple(i / 20 for i in range(1, 20))
        assert (np.diff(found.quantiles, axis=1) >= 0).all()
        np.testing.assert_allclose(found.mean, 100 * labels_of(8), atol=1)
        np.testing.assert_allclose(found.quantile(0.5), 100 * labels_of(8), atol=1)
        assert (found.quantile(0.1) < found.quantile(0.9)).all()

    @pytest.mark.parametrize("levels", [(), ("0.5",), ("0.25", "0.5", "0.75")])
    def test__numbers__without_quantiles_as_far_as_p10_and_p90__are_refused(self, levels: tuple[str, ...]) -> None:
        with kumo_endpoint(levels=levels) as narrow, pytest.raises(ModelError, match="no p10 and p90"):
            ask(model(narrow), examples(20), np.arange(20.0), examples(3), TaskKind.REGRESSION, ())

    def test__no_rows_to_predict__get_no_answers(self, endpoint: Endpoint) -> None:
        none = examples(4).take(np.arange(0))
        assert churn(model(endpoint), examples(20), none).probabilities.shape == (0, 2)
        numbers = ask(model(endpoint), examples(20), np.arange(20.0), none, TaskKind.REGRESSION, ())
        assert numbers.num_rows == 0 and len(numbers.quantile(0.1)) == 0


class TestCalls:
    def test__calls__the_context_travels_once_and_is_released(self, endpoint: Endpoint) -> None:
        fitted = model(endpoint).prepare(Labelled(examples(40), labels_of(40), TaskKind.BINARY, FT))
        for count in (3, 5):
            fitted.answer(examples(count))
        assert endpoint.calls == [("POST", "sessions"), ("POST", "predictions"), ("POST", "predictions")]
        assert len(endpoint.kept) == 1
        del fitted
        gc.collect()
        assert endpoint.calls[-1] == ("DELETE", "sessions") and not endpoint.kept

    def test__calls__in_parts__are_answered_as_in_one(self, endpoint: Endpoint, monkeypatch) -> None:
        fitted = model(endpoint).prepare(Labelled(examples(40, by="age"), labels_of(40), TaskKind.BINARY, FT))
        whole = fitted.answer(examples(11, by="age")).probabilities
        monkeypatch.setattr(remote, "_ROWS_PER_CALL", 4)
        np.testing.assert_array_equal(fitted.answer(examples(11, by="age")).probabilities, whole)
        assert endpoint.count("POST", "predictions") == 1 + 3 and endpoint.count("POST", "sessions") == 1

    def test__calls__too_large_for_one__are_halved(self, endpoint: Endpoint, monkeypatch) -> None:
        fitted = model(endpoint).prepare(Labelled(examples(40, by="age"), labels_of(40), TaskKind.BINARY, FT))
        monkeypatch.setattr(remote, "_CALL_BYTES", 1500)
        found = fitted.answer(examples(40, by="age"))
        np.testing.assert_array_equal(found.probabilities[:, 1], labels_of(40))
        assert endpoint.count("POST", "predictions") >= 4
        assert max(len(body) for body in endpoint.bodies[1:]) < 2000

    def test__calls__without_sessions__bring_the_context_each_time(self) -> None:
        with kumo_endpoint(sessions=False) as simple:
            found = churn(model(simple), examples(40, by="age"), examples(9, by="age"))
            assert simple.calls == [("POST", "sessions"), ("POST", "predictions")]
        np.testing.assert_array_equal(found.probabilities[:, 1], labels_of(9))

    def test__calls__a_session_that_is_gone__is_made_anew_once(self) -> None:
        with kumo_endpoint(forgets_after=1) as forgetful:
            fitted = model(forgetful).prepare(Labelled(examples(40, by="age"), labels_of(40), TaskKind.BINARY, FT))
            for _ in range(2):
                found = fitted.answer(examples(9, by="age"))
            assert forgetful.count("POST", "sessions") == 2
        np.testing.assert_array_equal(found.probabilities[:, 1], labels_of(9))

    def test__calls__a_session_that_is_never_kept__is_an_error(self) -> None:
        with kumo_endpoint(forgets_after=0) as forgetful, pytest.raises(ModelError, match="keep a session on one"):
            churn(model(forgetful), examples(20), examples(3))

    def test__calls__a_large_context__keeps_its_newest_examples(self, endpoint: Endpoint) -> None:
        ask(
            model(endpoint, context_size=10),
            examples(30, by="feature"),
            labels_of(30),
            examples(4, by="feature"),
            TaskKind.BINARY,
            FT,
            times=np.arange(30.0)[::-1],
        )
        sent = json.loads(endpoint.bodies[0])["context"]["instance_table"]
        assert [row[sent["columns"].index("TARGET")] for row in sent["rows"]] == labels_of(10).astype(bool).tolist()

    def test__calls__many_examples__are_told_as_the_endpoints_slower_mode(self, endpoint: Endpoint) -> None:
        found = churn(model(endpoint), examples(1001, by="feature"), examples(2, by="feature"))
        np.testing.assert_array_equal(found.probabilities[:, 1], labels_of(2))
        assert json.loads(endpoint.bodies[1])["inference"]["run_mode"] == "best"

    def test__calls__a_context_too_large_for_a_request__says_how_many_would_fit(self, endpoint, monkeypatch) -> None:
        monkeypatch.setattr(remote, "_CONTEXT_BYTES", 5000)
        with pytest.raises(ModelError, match=r"context_size to about \d\d, or"):
            churn(model(endpoint), examples(80), examples(3))
        assert not endpoint.calls

    def test__calls__more_tables_than_the_endpoint_reads__are_refused(self, endpoint: Endpoint) -> None:
        given = examples(20)
        assert given.rows is not None
        many = {f"table {i}": given.rows.tables["events"] for i in range(14)} | dict(given.rows.tables)
        with pytest.raises(ModelError, match="at most 15 tables, and 16"):
            churn(model(endpoint), replace(given, rows=replace(given.rows, tables=many)), examples(3))
        assert not endpoint.calls


def failing(of: Endpoint, **options: Any) -> str:
    with pytest.raises(ModelError) as raised:
        churn(model(of, **options), examples(20, word="Jane Doe"), examples(3, word="Jane Doe"))
    assert "Traceback" not in str(raised.value) and "Jane" not in str(raised.value)
    return str(raised.value)


class TestFailures:
    def test__failure__key__is_sent_but_never_shown(self, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
        monkeypatch.setenv("DBT_RFM_KUMO_API_KEY", KEY)
        with kumo_endpoint(key=KEY) as guarded, caplog.at_level(logging.DEBUG):
            churn(model(guarded), examples(20), examples(3))
            assert set(guarded.keys) == {KEY}
            guarded.behaviour.key = "another"
            said = failing(guarded)
        assert "refuses (401) the key in DBT_RFM_KUMO_API_KEY" in said
        assert KEY not in said + caplog.text + repr(model(guarded)) + model(guarded).version

    def test__failure__no_key__names_the_variable(self) -> None:
        with kumo_endpoint(key=KEY) as guarded:
            assert "DBT_RFM_KUMO_API_KEY is not set" in failing(guarded)

    def test__failure__complaint__is_told_in_the_users_names_and_without_rows(self, monkeypatch) -> None:
        monkeypatch.setenv("DBT_RFM_KUMO_API_KEY", KEY)
        detail = f"Column 'table0.cell1' row 3: Jane Doe, 'x' and 12.75 exceed 10000, table1.cell0 too; key {KEY}"
        with kumo_endpoint(fails=(422, {"code": "UNSUPPORTED_SHAPE", "detail": detail})) as strict:
            said = failing(strict)
        assert "does not take the request: 422 UNSUPPORTED_SHAPE" in said
        assert "events.kind" in said and "entities.size" in said and "10000" in said
        assert "12.75" not in said and "'x'" not in said and KEY not in said

    def test__failure__unreachable__says_so(self) -> None:
        with kumo_endpoint() as gone:
            pass
        assert (
            f"{gone.url.removeprefix('http://')} of the model kumo cannot be reached: ConnectionRefusedError"
            in failing(gone)
        )

    def test__failure__slow__names_the_option(self) -> None:
        with kumo_endpoint(waits=0.5) as slow:
            said = failing(slow, timeout=0.1)
        assert "did not answer within 0.1 seconds" in said and "option timeout" in said

    def test__failure__broken_endpoint__says_that_it_failed(self) -> None:
        with kumo_endpoint(fails=(500, {"code": "INTERNAL", "detail": "Unexpected server error"})) as sick:
            assert "failed: 500 INTERNAL, Unexpected server error" in failing(sick)

    def test__failure__another_kind_of_server__is_told(self) -> None:
        with kumo_endpoint(fails=(404, {})) as other:
            assert "has no predictions to ask for (404)" in failing(other)

    @pytest.mark.parametrize(
        "spoils",
        [
            pytest.param(lambda answer: b"<html>", id="no JSON"),
            pytest.param(lambda answer: [], id="no object"),
            pytest.param(lambda answer: {}, id="nothing"),
            pytest.param(lambda answer: {**answer, "predictions": answer["predictions"][:-1]}, id="a row missing"),
            pytest.param(lambda answer: {**answer, "predictions": answer["predictions"] * 2}, id="rows twice"),
            pytest.param(lambda answer: {**answer, "predictions": None}, id="null"),
            pytest.param(lambda answer: items(answer, id="17"), id="ids of others"),
            pytest.param(lambda answer: items(answer, row_index=0.5), id="no row number"),
            pytest.param(lambda answer: items(answer, probabilities=None), id="no probabilities"),
            pytest.param(lambda answer: items(answer, probabilities={"true": 1.0}), id="a class missing"),
            pytest.param(lambda answer: items(answer, probabilities={"true": 0.9, "false": 0.9}), id="sum of 1.8"),
            pytest.param(lambda answer: items(answer, probabilities={"true": 1.5, "false": -0.5}), id="below 0"),
            pytest.param(lambda answer: items(answer, probabilities={"true": float("nan"), "false": 1}), id="NaN"),
            pytest.param(lambda answer: items(answer, probabilities=["Jane Doe"]), id="a list"),
        ],
    )
    def test__failure__answer_of_another_form__is_not_guessed_at(self, spoils) -> None:
        with kumo_endpoint(spoils=spoils) as odd:
            assert "does not keep to the contract" in failing(odd)

    @pytest.mark.parametrize("level", ["q10", "0", "1", "50"])
    def test__failure__quantiles_of_unknown_levels__are_not_guessed_at(self, level: str) -> None:
        def spoils(answer: dict[str, Any]) -> dict[str, Any]:
            return items(answer, quantiles={"0.1": 1.0, "0.5": 2.0, "0.9": 3.0, level: 1.0})

        with kumo_endpoint(spoils=spoils) as odd, pytest.raises(ModelError, match="number between 0 and 1"):
            ask(model(odd), examples(20), np.arange(20.0), examples(3), TaskKind.REGRESSION, ())

    def test__failure__after_the_context__releases_it(self) -> None:
        with kumo_endpoint(spoils=lambda answer: {}) as odd:
            failing(odd)
            gc.collect()
            assert not odd.kept


def items(answer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**answer, "predictions": [{**item, **changes} for item in answer["predictions"]]}


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"endpoint": None}, "is no address"),
            ({"endpoint": "host:8000"}, "is no address"),
            ({"endpoint": "https://"}, "cannot be used"),
            ({"endpoint": "https://[::1"}, "is no address"),
            ({"endpoint": "https://host?key=abc"}, "query string"),
            ({"endpoint": "https://host", "api_key": "abc"}, "takes no key as an option"),
            ({"endpoint": "https://host", "hops": 2}, "no option hops with an endpoint"),
            ({"endpoint": "https://host", "timeout": 0}, "timeout of the model kumo is 0"),
            ({"endpoint": "https://host", "timeout": "1"}, "timeout of the model kumo is '1'"),
            ({"endpoint": "https://host", "context_size": 10_001}, "at most 10,000 labelled examples"),
            ({"endpoint": "https://ann:abc@host"}, "has a name or password in it"),
        ],
    )
    def test__option__of_the_wrong_form__says_what_to_write(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(ModelError, match=said) as raised:
            churn(load_model("kumo", "cpu", options), examples(20), examples(3))
        assert "abc" not in str(raised.value)

    def test__option__a_key_over_plain_http__is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBT_RFM_KUMO_API_KEY", KEY)
        far = load_model("kumo", "cpu", {"endpoint": "http://kumo.example:8000"})
        with pytest.raises(ModelError, match="plaintext") as raised:
            churn(far, examples(20), examples(3))
        assert KEY not in str(raised.value)

    def test__version__names_the_model_and_the_place(self, endpoint: Endpoint) -> None:
        found = model(endpoint)
        assert found.version == f"kumo-relational@{endpoint.url.removeprefix('http://')}"
        assert found.reads_rows and found.checkpoint_sha == ""

    def test__client__not_installed__says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sdm_client", None)
        with pytest.raises(ModelError, match=r"pip install 'dbt-rfm\[nim\]'"):
            load_model("kumo", "cpu", {"endpoint": "https://host"})
