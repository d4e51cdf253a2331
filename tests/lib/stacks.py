"""PAM stacks of a test's own, made of tests/fixtures/pam_awkward.c, which does what it is told."""
import os
import pathlib
import shutil


def use_stack(world, *lines, service="sallyport"):
    """(kind, acts...) each, or a line as it is."""
    folder = world.path("etc", "pam.d")
    module = folder / "pam_awkward.so"
    if not module.exists():
        shutil.copy(next(pathlib.Path(os.environ["SALLYPORT_BUILD"]).rglob(module.name)), module)
    stack = [line if isinstance(line, str) else f"{line[0]} required {module} " + " ".join(f"[{act}]" for act in line[1:])
             for line in lines]
    if not any(line.startswith("account") for line in stack):
        stack.append("account required pam_permit.so")
    fresh = folder / f".{service}"
    fresh.write_text("\n".join(stack) + "\n")
    fresh.replace(folder / service)
    return world
