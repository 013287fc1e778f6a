"""The SQL stores share their tables with the TypeScript SDK's: one accepts, the other works."""

import re
from pathlib import Path

from postrider_receiver.stores import statements

TYPESCRIPT = Path(__file__).parents[2] / "typescript/src/stores/schema.ts"


def test_the_tables_are_those_of_the_typescript_sdk() -> None:
    [theirs] = re.findall(r"=> `\n(.*?)`;", TYPESCRIPT.read_text(), re.DOTALL)
    assert comparable(statements.SCHEMA) == comparable(
        re.sub(r"\$\{types\.(\w+)\}", r"{\1}", theirs)
    )


def comparable(schema: str) -> list[str]:
    return [re.sub(r"\s+|(?<=\()\s|\s(?=\))", " ", each).strip() for each in schema.split(";")]
