"""How files are saved: what editors and tools do to a file when its text becomes another one. Each takes path and text."""
import os
import shutil


def in_place(path, text):
    path.write_text(text)


def by_rename(path, text):
    other = path.with_name(path.name + ".new~")
    other.write_text(text)
    other.rename(path)


def with_backup(path, text):
    """As vim: a file that tells whether the folder can be written, the old file out of the way, a new one."""
    (path.parent / "4913").write_text("")
    (path.parent / "4913").unlink()
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text)
    path.with_name(path.name + "~").unlink()


def made_anew(path, text):
    path.unlink()
    path.write_text(text)


def in_two_writes(path, text):
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        file.write(text[len(text) // 2:])


def with_touch(path, text):
    path.write_text(text)
    os.utime(path)
    path.chmod(0o644)


def all_files(path, text):
    path.write_text(text)
    (path.parent / "helper.py").write_text(f"# {text}")
    (path.parent / "other.py").write_text(f"# {text}")


def checkout(path, text):
    copy = path.parent.with_name("_copy")
    shutil.copytree(path.parent, copy)
    (copy / path.name).write_text(text)
    for file in copy.iterdir():
        file.rename(path.parent / file.name)
    copy.rmdir()


def in_small_writes(path, text):
    with open(path, "w") as file:
        for c in text:
            file.write(c)
            file.flush()


def with_hard_link_backup(path, text):
    backup = path.with_name(path.name + ".bak")
    os.link(path, backup)
    other = path.with_name(".#new")
    other.write_text(text)
    os.replace(other, path)
    backup.unlink()


def with_lock(path, text):
    lock = path.with_name(".#" + path.name)
    lock.symlink_to("user@host.1:1")
    path.write_text(text)
    lock.unlink()


def with_swap(path, text):
    swap = path.with_name("." + path.name + ".swp")
    swap.write_bytes(b"b0VIM")
    other = path.with_name(path.name + "~tmp")
    with open(other, "w") as file:
        file.write(text)
        os.fsync(file.fileno())
    os.replace(other, path)
    swap.unlink()
