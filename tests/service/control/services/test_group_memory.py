"""Two who change a group's memory at once lose nothing of each other."""

from __future__ import annotations

import threading
from dataclasses import replace

from control.database.session import Database
from control.services import group_memory
from tests.factories import Scene
from tests.scaling_scenes import add_group, group_of


def test_of_two_changes_at_once_none_is_lost(scene: Scene) -> None:
    group = add_group(scene, environment="gpu")
    other = Database(scene.world.database.url)
    start = threading.Barrier(2)

    def count(database: Database) -> None:
        start.wait()
        for _ in range(10):
            database.write(
                lambda connection: group_memory.change(
                    connection,
                    group.id,
                    lambda memory: replace(memory, boot_failures=memory.boot_failures + 1),
                )
            )

    threads = [threading.Thread(target=count, args=(one,)) for one in (scene.world.database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert group_of(scene.world, group.id).memory["boot_failures"] == 20
