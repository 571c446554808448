"""`dti remote keys` and `dti remote webhooks`."""

from typing import Annotated

import typer

from cli.remote_support import all_items, connect, format_time, print_table, yes_or_no

keys = typer.Typer(help="Keys; requires the scope admin.", no_args_is_help=True)
webhooks = typer.Typer(help="Webhooks.", no_args_is_help=True)


@keys.command("mint")
def mint_key(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(help="Name of the owner.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the key.")] = "command line",
    scopes: Annotated[str, typer.Option(help="Scopes, separated by commas.")] = "read,train,generate",
) -> None:
    """Mint a key and print its secret, once."""
    with connect(context) as client:
        typer.echo(client.create_key(owner, name, [scope.strip() for scope in scopes.split(",")]).secret)


@keys.command("list")
def list_keys(context: typer.Context) -> None:
    """List keys."""
    with connect(context) as client:
        found = list(all_items(client.list_keys))
    rows = [
        (item.id, item.owner, item.name, item.prefix, " ".join(item.scopes), format_time(item.revoked_at))
        for item in found
    ]
    print_table(("id", "owner", "name", "prefix", "scopes", "revoked"), rows)


@keys.command("revoke")
def revoke_key(context: typer.Context, key_id: Annotated[str, typer.Argument()]) -> None:
    """Revoke a key."""
    with connect(context) as client:
        client.revoke_key(key_id)


@webhooks.command("add")
def add_webhook(context: typer.Context, url: Annotated[str, typer.Argument(help="An https:// URL.")]) -> None:
    """Subscribe to all jobs and print the secret."""
    with connect(context) as client:
        created = client.create_webhook(url)
    typer.echo(f"{created.webhook.id} {created.secret}")


@webhooks.command("list")
def list_webhooks(context: typer.Context) -> None:
    """List webhooks."""
    with connect(context) as client:
        found = list(all_items(client.list_webhooks))
    print_table(("id", "url", "enabled"), [(item.id, item.url, yes_or_no(item.enabled)) for item in found])


@webhooks.command("delete")
def delete_webhook(context: typer.Context, webhook_id: Annotated[str, typer.Argument()]) -> None:
    """Delete a webhook."""
    with connect(context) as client:
        client.delete_webhook(webhook_id)
