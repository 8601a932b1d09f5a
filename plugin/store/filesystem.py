"""Which file system a path lies on. SQLite needs locks and shared memory that only a local disk keeps as promised."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from plugin.errors import ConfigInvalid

#: The kernel's table of mounts as this process sees it; Linux has it, others do not.
_MOUNTS: Final = Path("/proc/self/mountinfo")

#: Kinds that several machines share, or that a virtual machine shares with its host: by network, by cluster, by host.
SHARED_KINDS: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p", "davfs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "gfs2", "ocfs2", "orangefs", "pvfs2", "panfs", "wekafs"),
        *("vboxsf", "vmhgfs", "prl_fs"),
    }
)
#: The same among those that run outside the kernel; they are listed as `fuse.<kind>`.
SHARED_FUSE_KINDS: Final = frozenset(
    {
        *("sshfs", "glusterfs", "ceph", "ceph-fuse", "mfs", "lizardfs", "seaweedfs", "juicefs", "curlftpfs", "davfs"),
        *("s3fs", "goofys", "geesefs", "mount-s3", "gcsfuse", "blobfuse", "blobfuse2", "rclone", "smbnetfs"),
        *("vmhgfs-fuse", "grpcfuse", "osxfs"),
    }
)

_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def refuse_shared_filesystem(path: Path, mounts: str | None = None) -> None:
    """Raise ConfigInvalid when the database file `path` would lie on a file system that machines share.

    mounts: the table of mounts, as /proc/self/mountinfo has it; read from there when it is not given.
    """
    kind = filesystem_kind(path, mounts)
    if kind is not None and is_shared(kind):
        sentence = (
            f"DATABASE_URL: {path} lies on a file system that machines share ({kind}), where SQLite loses data; name "
            "a file on a local disk, or use PostgreSQL."
        )
        raise ConfigInvalid([sentence])


def filesystem_kind(path: Path, mounts: str | None = None) -> str | None:
    """The kind of file system that holds `path`, which need not exist yet; None where it cannot be known."""
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    path = path.resolve()
    deepest, kind = -1, None
    for line in mounts.splitlines():
        mounted_at, mounted_kind = _mount(line)
        # Of two mounts at the same place the later one covers the earlier.
        if mounted_at is not None and path.is_relative_to(mounted_at) and len(mounted_at.parts) >= deepest:
            deepest, kind = len(mounted_at.parts), mounted_kind
    return kind


def is_shared(kind: str) -> bool:
    """Whether machines share file systems of this kind."""
    return kind in SHARED_KINDS or kind.removeprefix("fuse.") in SHARED_FUSE_KINDS


def _mount(line: str) -> tuple[Path | None, str]:
    """Place and kind of one mount: `36 35 98:0 /root /place options optional… - kind source options`."""
    before, separator, after = line.partition(" - ")
    fields = before.split(" ")
    if not separator or len(fields) < 5:
        return None, ""
    return Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])), after.split(" ")[0]
