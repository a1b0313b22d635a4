"""A SLURM cluster on this machine: munged, slurmctld and three slurmd of Debian's slurm-wlm, two of them with two fake
GPUs, no accounting. As root; what it starts it ends, by process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

CONFIG = Path("/etc/slurm")  # where Snakemake's jobs look, whatever SLURM_CONF says
MARK = "# written by tests/slurm"
POLICY = Path("/usr/sbin/policy-rc.d")

SLURM_CONF = """{mark}
ClusterName=toy
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=16817
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
MpiDefault=none
MinJobAge=900
SlurmdTimeout=30
InactiveLimit=0
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=17001 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=17002 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
NodeName=n3 NodeHostname=localhost NodeAddr=127.0.0.1 Port=17003 CPUs=8 RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes=n1,n2,n3 Default=YES MaxTime=7-0:00:00 State=UP
"""
GRES_CONF = "NodeName=n[1-2] Name=gpu File={folder}/dev/nvidia[0-1] Flags=nvidia_gpu_env\n"


class Cluster:
    """Running from its making until `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _install()
        known = CONFIG / "slurm.conf"
        if known.exists() and MARK not in known.read_text():
            raise RuntimeError(f"{known} is another cluster's: this test would take its place.")
        for name in ("state", "log", "dev"):
            (folder / name).mkdir(parents=True)
        for number in range(2):
            os.mknod(folder / "dev" / f"nvidia{number}", 0o666 | 0o020000, os.makedev(1, 3))
        CONFIG.mkdir(exist_ok=True)
        known.write_text(SLURM_CONF.format(folder=folder, mark=MARK))
        (CONFIG / "gres.conf").write_text(GRES_CONF.format(folder=folder))
        shutil.rmtree("/run/munge", ignore_errors=True)
        subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge"], check=True)
        subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)
        subprocess.run(["slurmctld"], check=True)
        for node in ("n1", "n2", "n3"):
            self.start_node(node)
        _until(lambda: said("sinfo", "-h", "-o", "%t %D") == "idle 3", 60)

    def start_node(self, node: str) -> None:
        subprocess.run(["slurmd", "-N", node], check=True)

    def kill_node(self, node: str) -> None:
        """As a node's daemon dies: what it had started goes on."""
        os.kill(int((self.folder / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)

    def stop(self) -> None:
        subprocess.run(["scancel", "--full", "--user", "root"], check=False)
        time.sleep(2)
        for path in [*self.folder.glob("slurm*.pid"), Path("/run/munge/munged.pid")]:
            if path.is_file():
                with_id = path.read_text().strip()
                subprocess.run(["kill", with_id], check=False, stderr=subprocess.DEVNULL)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIG / name).unlink()


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


def jobs() -> list[dict[str, str]]:
    """Every job that the controller remembers, as `scontrol show job` tells of it."""
    lines = said("scontrol", "-o", "show", "job").splitlines()
    told = [dict(part.partition("=")[::2] for part in line.split() if "=" in part) for line in lines]
    return [one for one in told if "JobId" in one]


def _until(true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("the cluster does not come up; see its log folder")
        time.sleep(0.3)


def _install() -> None:
    """Debian's packages, their services left asleep."""
    if shutil.which("slurmctld") and shutil.which("munged"):
        return
    made = not POLICY.exists()
    if made:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]
        subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    finally:
        if made:
            POLICY.unlink()
