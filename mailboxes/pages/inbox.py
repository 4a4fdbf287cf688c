"""The unified inbox of a workspace, and each message in its conversation, to be answered from there (SPEC I3, I4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailboxes.inbox import conversation as talks
from mailboxes.inbox.due import watch
from mailboxes.models import InMessage, Mailbox, OutMessage, Workspace
from mailboxes.pages.access import current_workspace, person, private, workspaces_of
from mailboxes.pages.client import is_live, number, words_of
from mailboxes.pages.standing import why_it_waits

PAGE = 50
MOST_WATCHED = 200
BEGINNING = 160
Kind = InMessage.Kind
FILTERS = {
    "": "All", Kind.MESSAGE.value: "Messages", Kind.AUTO_REPLY.value: "Automatic replies", Kind.BOUNCE.value: "Bounces",
    Kind.COMPLAINT.value: "Complaints",
}  # fmt: skip
UNDER_WAY = (OutMessage.State.QUEUED.label, OutMessage.State.CLAIMED.label, OutMessage.State.ON_WIRE.label)


class ReplyForm(forms.Form):
    """A person's answer."""

    text = forms.CharField(label="Your answer", required=False, widget=forms.Textarea(attrs={"rows": 7}))


@private
def inbox(request: HttpRequest) -> HttpResponse:
    """The list. It asks for itself again now and then, while somebody looks."""
    workspace, now = current_workspace(request), timezone.now()
    mine = Mailbox.objects.present().filter(workspace=workspace)
    chosen = mine.filter(pk=number(request.GET.get("mailbox", ""))).first()
    kind, words = request.GET.get("kind", ""), words_of(request)
    kind = kind if kind in FILTERS else ""
    rows = _rows(workspace, kind, words, chosen)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    _look(mine if chosen is None else mine.filter(pk=chosen.pk), now)
    asked = {"kind": kind, "mailbox": chosen.pk if chosen else "", "q": words}
    context = {
        "workspace": workspace,
        "workspaces": workspaces_of(person(request)),
        "mailboxes": mine.order_by("address"),
        "unread": mine.filter(wants_imap=True).exclude(pk__in=Mailbox.objects.can_read()).count(),
        "broken": mine.needing_reconnect().count(),
        "page": page,
        "chosen": chosen,
        "kind": kind,
        "words": words,
        "filters": FILTERS.items(),
        "others": urlencode({key: value for key, value in asked.items() if value and key != "kind"}),
        "query": urlencode({key: value for key, value in asked.items() if value}),
    }
    return render(request, "pages/inbox_live.html" if is_live(request) else "pages/inbox.html", context)


def _rows(workspace: Workspace, kind: str, words: str, chosen: Mailbox | None) -> QuerySet[InMessage]:
    rows = talks.searched(talks.of_workspace(workspace), words)
    rows = rows.filter(kind=kind) if kind else rows
    rows = rows.filter(mailbox=chosen) if chosen else rows
    return rows.select_related("mailbox").annotate(beginning=Left("text", BEGINNING)).defer("text", "references")


def _look(mailboxes: QuerySet[Mailbox], now: datetime) -> None:
    """Somebody looks: these are read often from now on (I4)."""
    watch(mailboxes.filter(pk__in=Mailbox.objects.can_read()).values_list("pk", flat=True)[:MOST_WATCHED], now)


@private
def message(request: HttpRequest, pk: int) -> HttpResponse:
    """The conversation, and the form to answer in it."""
    found, now = _message_for(request, pk), timezone.now()
    _look(Mailbox.objects.filter(pk=found.mailbox_id), now)
    context = _context(found, ReplyForm(), now)
    return render(request, "pages/conversation_live.html" if is_live(request) else "pages/conversation.html", context)


@private
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue the answer. Pressing the button twice queues it once."""
    found, now, form = _message_for(request, pk), timezone.now(), ReplyForm(request.POST)
    if form.is_valid():
        try:
            talks.reply(found, form.cleaned_data["text"], acting_user=person(request), now=now)
        except talks.CannotReply as fault:
            form.add_error("text", str(fault))
        else:
            messages.success(request, "Your answer stands below. It goes out as soon as the mailbox can send.")
            return redirect("inbox-message", found.pk)
    return render(request, "pages/conversation.html", _context(found, form, now))


def _message_for(request: HttpRequest, pk: int) -> InMessage:
    """A message that people wrote to one of the person's workspaces. Letters are for members alone: to read them, and
    to answer in the customer's name, staff have no right here. Raises Http404 for every other."""
    mine = talks.from_people().filter(mailbox__workspace__in=workspaces_of(person(request)))
    found = mine.select_related("mailbox__workspace").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _context(found: InMessage, form: ReplyForm, now: datetime) -> dict[str, Any]:
    lines = talks.conversation(found)
    can_send = Mailbox.objects.can_send(now).filter(pk=found.mailbox_id).exists()
    sends = found.mailbox.wants_smtp and found.mailbox.removed_at is None
    return {
        "message": found,
        "mailbox": found.mailbox,
        "workspace": found.mailbox.workspace,
        "lines": lines,
        "form": form,
        "sends": sends,
        "may_answer": sends and talks.may_answer(found),
        "answer_to": talks.answer_to(found),
        "waits": "" if can_send else why_it_waits(found.mailbox, now),
        "under_way": any(line.is_ours and line.note.startswith(UNDER_WAY) for line in lines),
    }
