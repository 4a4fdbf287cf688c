"""The addresses of the customers' pages."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path

from mailboxes.pages import (
    account,
    administrator,
    confirming,
    consent,
    credentials,
    help,  # the page's name
    inbox,
    listing,
    mailbox,
    members,
    second_factor,
    trial,
)

urlpatterns = [
    path("", listing.home, name="home"),
    path("mailboxes/", listing.mailboxes, name="mailboxes"),
    path("mailboxes/<int:pk>/", mailbox.mailbox, name="mailbox"),
    path("mailboxes/<int:pk>/live/", mailbox.live, name="mailbox-live"),
    path("mailboxes/<int:pk>/check/", mailbox.check, name="mailbox-check"),
    path("mailboxes/<int:pk>/confirm/", confirming.confirm, name="mailbox-confirm"),
    path("mailboxes/<int:pk>/confirm/again/", confirming.again, name="mailbox-confirm-again"),
    path("mailboxes/<int:pk>/remove/", mailbox.remove, name="mailbox-remove"),
    path("mailboxes/<int:pk>/credentials/", credentials.credentials, name="credentials"),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/<int:pk>/", inbox.message, name="inbox-message"),
    path("inbox/<int:pk>/reply/", inbox.answer, name="inbox-reply"),
    path("connect/", credentials.connect, name="connect"),
    path("tests/<int:pk>/", trial.trial, name="trial"),
    path("tests/<int:pk>/progress/", trial.progress, name="trial-progress"),
    path("tests/<int:pk>/keep/", trial.keep, name="trial-keep"),
    path("tests/<int:pk>/discard/", trial.discard, name="trial-discard"),
    path("oauth/<slug:provider>/start/", consent.start, name="consent-start"),
    path("oauth/<slug:provider>/complete/", consent.complete, name="consent-complete"),
    path("administrator/<str:token>/", administrator.administrator, name="administrator"),
    path("members/", members.members, name="members"),
    path("members/<int:pk>/role/", members.change_role, name="member-role"),
    path("members/<int:pk>/remove/", members.remove, name="member-remove"),
    path("members/invitations/<int:pk>/withdraw/", members.withdraw_invitation, name="invitation-withdraw"),
    path("invitation/<str:token>/", account.invitation, name="invitation"),
    path("sign-in/", account.SignIn.as_view(), name="sign-in"),
    path("sign-out/", auth.LogoutView.as_view(), name="sign-out"),
    path("recover/", account.Recover.as_view(), name="recover"),
    path(
        "recover/sent/",
        auth.PasswordResetDoneView.as_view(template_name="pages/recover_sent.html"),
        name="recover-sent",
    ),
    path("recover/<uidb64>/<token>/", account.NewPassword.as_view(), name="password_reset_confirm"),
    path("second-factor/", second_factor.second_factor, name="second-factor"),
    path("second-factor/codes/", second_factor.recovery_codes, name="recovery-codes"),
    path("help/", help.index, name="help"),
    path("help/prepare/", help.prepare, name="help-prepare"),
    path("help/pop-ups/", help.pop_ups, name="help-pop-ups"),
    path("help/providers/<str:provider>/", help.provider, name="help-provider"),
    path("help/<str:category>/", help.cause, name="help-cause"),
]
