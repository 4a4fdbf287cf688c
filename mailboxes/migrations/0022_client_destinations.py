from django.db import migrations, models

from mailboxes.models.destination import CLIENT_ADDRESSES, client_destination


def give(apps, schema_editor):
    """Today's addresses are what the stored client secrets were given for."""
    OAuthClient = apps.get_model("mailboxes", "OAuthClient")
    for row in OAuthClient.objects.values("pk", *CLIENT_ADDRESSES):
        OAuthClient.objects.filter(pk=row["pk"]).update(destination=client_destination(row))


class Migration(migrations.Migration):

    dependencies = [
        ('mailboxes', '0021_audit_names'),
    ]

    operations = [
        migrations.AddField(
            model_name='oauthclient',
            name='destination',
            field=models.TextField(blank=True, default='', editable=False, help_text='Where its secret may go: the addresses it was given for (S7).'),
        ),
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
