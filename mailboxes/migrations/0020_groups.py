from django.db import migrations

from mailboxes.groups import add_groups


def make(apps, schema_editor):
    add_groups(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):

    dependencies = [
        ('mailboxes', '0019_long_pause'),
        ('campaigns', '0005_address_faults'),
        ('warmup', '0003_week'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
