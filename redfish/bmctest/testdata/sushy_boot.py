"""Boots an image from virtual media with sushy, as ironic's users would.

Prints one line for each thing done, or the error at which it stopped. With
--leave the host is left on, its medium in.
"""
import argparse
import time

import sushy
from sushy import exceptions

arguments = argparse.ArgumentParser(description=__doc__)
for name in ("url", "user", "password", "image"):
    arguments.add_argument(name)
arguments.add_argument("--leave", action="store_true")
said = arguments.parse_args()


def settle(system, state):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        system.refresh(force=True)
        if system.power_state == state:
            return
        time.sleep(0.05)
    raise RuntimeError("power never was %s" % state)


def drive(manager):
    """The first drive that takes CDs and can be asked to take one."""
    for medium in manager.virtual_media.get_members():
        if medium.media_types and sushy.VirtualMediaType.CD not in medium.media_types:
            continue
        try:
            medium._get_insert_media_uri()
        except exceptions.MissingActionError:
            continue
        return medium
    raise RuntimeError("no drive")


def run():
    root = sushy.Sushy(said.url, username=said.user, password=said.password, verify=False)
    system = root.get_system_collection().get_members()[-1]
    print("serial", system.serial_number)
    print("power", system.power_state.value)
    medium = drive(root.get_manager_collection().get_members()[0])
    medium.insert_media(said.image)
    medium.refresh(force=True)
    print("inserted", medium.inserted)
    system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_CD, sushy.BOOT_SOURCE_ENABLED_ONCE, sushy.BOOT_SOURCE_MODE_UEFI)
    system.refresh(force=True)
    print("override", system.boot.target.value, system.boot.enabled.value)
    system.reset_system(sushy.RESET_ON)
    settle(system, sushy.PowerState.ON)
    print("on")
    if said.leave:
        return
    medium.eject_media()
    medium.refresh(force=True)
    print("inserted", medium.inserted)
    system.reset_system(sushy.RESET_FORCE_OFF)
    settle(system, sushy.PowerState.OFF)
    print("off")


try:
    run()
except Exception as e:  # what stopped it is the result
    print("stopped", type(e).__name__, " ".join(str(e).split()))
