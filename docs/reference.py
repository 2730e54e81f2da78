"""How the reference is read from the source, for mkdocs: what a package hands on is public, and its examples are shown as code."""

import re
from typing import Any

import griffe


class Reference(griffe.Extension):
    """An extension of griffe, named in mkdocs.yml."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Renames the section of examples to what griffe calls it."""
        del kwargs  # the loader, and what griffe may add
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Makes public what a package hands on from its own private modules: `from jdl.layers._dense import dense as dense`."""
        del kwargs
        for module in pkg.modules.values():
            for name, member in module.members.items():
                if member.is_alias:
                    member.public = module.imports.get(name, "").startswith(f"{module.path}._")
