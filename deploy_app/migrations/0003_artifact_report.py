from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("deploy_app", "0002_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="artifact",
            name="report",
            field=models.JSONField(
                blank=True,
                help_text="What was proved of it, as report.json in its archive (edgewise.spec.proof).",
                null=True,
            ),
        ),
    ]
