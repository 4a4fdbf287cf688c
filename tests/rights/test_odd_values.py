"""No address answers 500 to a NUL, a word for a number, or a number that no column holds (SEC-21)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client

from tests.make import make_mailbox, make_member
from tests.rights.walk import PART, ROUTES

pytestmark = pytest.mark.django_db
ODD = {"nul": "a\0b", "word": "abc", "huge": "9" * 23, "negative": "-" + "9" * 23, "list": "1," + "9" * 23}
# What the customers' pages read of a query or a form.
NAMES = (
    "q", "page", "workspace", "needs", "address", "mailbox", "pool", "kind", "before", "next", "role",
)  # fmt: skip
LISTS = {model: f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}


def filled(route: str, value: str) -> str:
    return PART.sub(lambda _: quote(value, safe=""), route)


def client_of(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def people(support: User) -> list[Client]:
    """An owner of a workspace, and a superuser."""
    return [client_of(make_member(make_mailbox().workspace, "owner")), client_of(support)]


def wrong(client: Client, path: str, *queries: dict[str, Any], methods: tuple[str, ...] = ("get", "post")) -> list[str]:
    """What ends in 500."""
    asked = [(method, values, getattr(client, method)(path, values)) for method in methods for values in queries]
    return [f"{method} {path} {values}: {got.status_code}" for method, values, got in asked if got.status_code >= 500]


@pytest.mark.parametrize("kind", ODD)
def test_sec21_an_odd_value_in_a_path_is_no_fault_of_ours(people: list[Client], kind: str) -> None:
    paths = [filled(route, ODD[kind]) for route in ROUTES if "<" in route]
    assert [fault for path in paths for client in people for fault in wrong(client, path, {})] == []


@pytest.mark.parametrize("kind", ODD)
def test_sec21_an_odd_value_in_a_query_or_form_is_no_fault_of_ours(people: list[Client], kind: str) -> None:
    paths = [filled(route, "1") for route in ROUTES if not route.startswith("/admin/")]
    queries = [{name: ODD[kind]} for name in NAMES] if kind == "word" else [dict.fromkeys(NAMES, ODD[kind])]
    queries = [*queries, dict.fromkeys(("q", "address"), ODD[kind])]  # nothing else refuses them first
    assert [fault for path in paths for fault in wrong(people[0], path, *queries)] == []


def parameters(model: type[Model]) -> list[str]:
    """What the admin of a table reads of a query: filters, fields, search, and its own."""
    of = admin.site._registry[model]
    names = [*("q", "o", "p", "e", "all", "_to_field", "_popup", "_facets", "_changelist_filters")]
    for one in of.list_filter:
        field = one[0] if isinstance(one, tuple) else one
        if isinstance(field, str):
            names += [f"{field}{end}" for end in ("", "__exact", "__id__exact", "__isnull", "__in")]
        else:
            names.append(str(getattr(field, "parameter_name", "")))
    return list(dict.fromkeys(names))


@pytest.mark.parametrize("kind", ODD)
def test_sec21_an_odd_value_in_an_admins_list_is_no_fault_of_ours(people: list[Client], kind: str) -> None:
    found = []
    for model, listed in LISTS.items():
        names = parameters(model)
        queries = [{name: ODD[kind]} for name in names] if kind == "word" else [dict.fromkeys(names, ODD[kind])]
        found += wrong(people[1], listed, *queries, methods=("get",))
        action = {"action": "delete_selected", "_selected_action": ODD[kind], "post": "yes"}
        found += wrong(people[1], listed, action, methods=("post",))
    assert found == []


@pytest.mark.parametrize("kind", ODD)
def test_sec21_an_odd_value_in_an_admins_form_is_no_fault_of_ours(people: list[Client], kind: str) -> None:
    found = []
    for model, listed in LISTS.items():
        names = [field.name for field in model._meta.get_fields() if field.concrete]
        found += wrong(people[1], f"{listed}add/", dict.fromkeys(names, ODD[kind]))
    assert found == []


@pytest.mark.parametrize("path", ["/mailboxes/?q=a%00b", "/admin/mailboxes/mailbox/?q=a%00b", "/help/a%00b/"])
def test_sec21_a_nul_is_answered_by_400(people: list[Client], path: str) -> None:
    assert [client.get(path).status_code for client in people] == [400, 400]


def test_sec21_a_nul_in_a_form_or_a_cookie_is_answered_by_400(people: list[Client]) -> None:
    assert people[0].post("/connect/", {"address": "a\0b@c.test"}).status_code == 400
    people[0].cookies["sessionid"] = "\0" * 32
    assert people[0].get("/mailboxes/").status_code == 400


def test_sec21_the_admins_own_quoting_makes_no_nul(people: list[Client]) -> None:
    assert people[1].get("/admin/django_q/failure/_00/change/").status_code == 302


def test_sec21_a_number_beyond_every_column_is_no_row(people: list[Client]) -> None:
    huge = "9" * 23
    assert people[0].get(f"/mailboxes/{huge}/").status_code == 404
    assert people[1].get(f"/admin/mailboxes/mailbox/{huge}/change/").status_code == 404
    assert people[1].get(f"/admin/mailboxes/mailbox/?workspace__id__exact={huge}").status_code == 400
    assert people[1].get(f"/admin/mailboxes/outmessage/?q={huge}").status_code == 200, "words may look like a number"


def test_sec21_a_link_that_fills_in_a_word_for_an_id_opens_the_form(people: list[Client]) -> None:
    assert people[1].get("/admin/mailboxes/mailbox/add/?workspace=abc&address=a@b.test").status_code == 200


def test_sec21_a_password_of_digits_is_no_number(people: list[Client]) -> None:
    values = {"username": "new@a.test", "password1": "7" * 30, "password2": "7" * 30, "usable_password": "true"}
    people[1].post("/admin/auth/user/add/", values)
    assert User.objects.filter(username="new@a.test").exists()
