# Has Debian's own cloud-init call a server, as it does on a host:
#
#	call.py phone-home URL	its module phone_home, with all that it can post
#	call.py report URL	its reporting webhook, of a stage with one module
import collections
import logging
import sys

from cloudinit.config import cc_phone_home
from cloudinit.reporting import events, handlers, instantiated_handler_registry

Name = collections.namedtuple("Name", "hostname is_default")


class Cloud:
    """The few things of a host that phone_home asks for."""

    paths = None

    def get_instance_id(self):
        return "h-7q2mk4xw-a-1"

    def get_hostname(self, fqdn=False, **_):
        return Name("edge-1.plant7.example" if fqdn else "edge-1", False)


def phone_home(url):
    config = {"phone_home": {"url": url, "post": "all", "tries": 1}}
    cc_phone_home.handle("phone_home", config, Cloud(), logging.getLogger(), [])


def report(url):
    webhook = handlers.WebHookHandler(url, timeout=10, retries=0)
    instantiated_handler_registry.register_item("muster", webhook)
    with events.ReportEventStack("modules-final", "running modules for final"):
        with events.ReportEventStack("modules-final/config-scripts-user", "running config-scripts-user with frequency once-per-instance"):
            pass
    webhook.flush()


logging.basicConfig(level=logging.ERROR)
{"phone-home": phone_home, "report": report}[sys.argv[1]](sys.argv[2])
