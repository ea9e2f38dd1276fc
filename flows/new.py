"""The flow that looks at data and shows a recipe for them, for people who work in Prefect's pages."""

import json

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from flows.lifecycle import LIFECYCLE
from flows.recipes.drafted_recipe import draft_recipe, fetch
from flows.recipes.recipe_file import parse_assignment
from flows.recipes.tried_recipe import try_recipe
from flows.recipes.written_recipe import describe_choice, write_recipe
from tasks.errors import plural
from tasks.tracking.dashboard import artifact_key


@flow(name="new", **LIFECYCLE)
def new(path: str, kind: str = "", settings: list[str] | None = None) -> State:
    """Look at data on the worker's disk, and show a recipe for them; nothing is written.

    Args:
        path: File, folder, pattern such as data/*.csv, or address.
        kind: Kind of problem, where several fit.
        settings: Answers, such as source.label_column=queue.
    """
    given = {".".join(keys): value for keys, value in map(parse_assignment, settings or [])}
    drafted = draft_recipe(fetch(path), given=given, kind=kind)
    try_recipe(drafted)
    key = artifact_key(f"recipe-{drafted.name}")
    create_markdown_artifact(
        "\n".join(
            [
                f"# Recipe for {path}",
                f"\n{drafted.draft.kind}: {drafted.draft.reason}.\n",
                *(f"- **{one.text}** {'; or '.join(map(describe_choice, one.choices))}" for one in drafted.questions),
                f"\n```toml\n{write_recipe(drafted)}```\n",
                f"As the parameter `recipe` of `train`:\n\n```json\n{json.dumps(drafted.as_table(), indent=1)}\n```",
            ]
        ),
        key=key,
        description=drafted.draft.reason,
    )
    left = plural(len(drafted.questions), "question")
    return Completed(
        message=f"recipe for {drafted.draft.kind}: {drafted.draft.reason}; {left} left", data=drafted.as_table()
    )
