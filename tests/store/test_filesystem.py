"""SQLite on a file system that machines share is refused before anything is written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.errors import ConfigInvalid
from plugin.store.filesystem import filesystem_kind, refuse_shared_filesystem

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:30 / /srv/office rw,relatime shared:4 - nfs4 files:/office rw,vers=4.2
41 40 254:1 / /srv/office/local rw,relatime shared:5 master:1 - xfs /dev/vdb rw
42 27 0:31 / /mnt/two\040words rw - cifs //files/share rw
43 27 0:32 / /mnt/ssh rw - fuse.sshfs me@there:/ rw
44 27 0:33 / /mnt/disk rw - fuseblk /dev/sdb1 rw
45 27 0:34 / /mnt/covered rw - nfs files:/old rw
46 27 254:2 / /mnt/covered rw - btrfs /dev/vdc rw
47 27 0:35 / /mnt/mine rw - fuse.mergerfs a:b rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/plugin.db", "ext4"),
        ("/srv/office/plugin.db", "nfs4"),
        ("/srv/office/not/there/yet/plugin.db", "nfs4"),
        ("/srv/office/local/plugin.db", "xfs"),
        ("/srv/offices/plugin.db", "ext4"),
        ("/mnt/two words/plugin.db", "cifs"),
        ("/mnt/covered/plugin.db", "btrfs"),
        ("/srv/office/../plugin.db", "ext4"),
    ],
)
def test_the_deepest_and_latest_mount_holds_a_path(path: str, kind: str) -> None:
    assert filesystem_kind(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("path", ["/srv/office/plugin.db", "/mnt/two words/plugin.db", "/mnt/ssh/a/plugin.db"])
def test_a_shared_file_system_is_refused_with_what_to_do(path: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"local disk, or use PostgreSQL"):
        refuse_shared_filesystem(Path(path), MOUNTS)


@pytest.mark.parametrize("path", ["/var/plugin.db", "/srv/office/local/p.db", "/mnt/disk/p.db", "/mnt/mine/p.db"])
def test_a_local_disk_is_fine(path: str) -> None:
    refuse_shared_filesystem(Path(path), MOUNTS)


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/srv/office")

    assert filesystem_kind(tmp_path / "link" / "plugin.db", MOUNTS) == "nfs4"


def test_this_machines_own_table_is_read(tmp_path: Path) -> None:
    assert filesystem_kind(tmp_path) is not None
    refuse_shared_filesystem(tmp_path / "plugin.db")
