"""What Slurm's commands print, modelled on its sources (22.05.8, and sdiag of 23.11 too)."""

from __future__ import annotations

PARTITION = (
    "PartitionName={name} AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=NO QoS=N/A"
    " DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes={most} MaxTime=UNLIMITED"
    " MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO"
    " OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State={state} TotalCPUs=4 TotalNodes=2"
    " SelectTypeParameters=NONE JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED\n"
)

RESERVATION = (
    "ReservationName={name} StartTime=1669000000 EndTime=1669003600 Duration=01:00:00 Nodes=n[1-2] NodeCnt=2 CoreCnt=16"
    " Features=(null) PartitionName={partition} Flags=MAINT,SPEC_NODES TRES=cpu=16 Users=root Groups=(null)"
    " Accounts=(null) Licenses=(null) State=ACTIVE BurstBuffer=(null) MaxStartDelay=(null){rest}\n"
)

SHARES = """\
root|||1.000000|5000|1.000000||
 root|root|1|0.333333|0|0.000000|1.000000|inf
 lab||1|0.333333|4.1e+03|0.820000||0.406504
  lab|ann|parent|0.333333|1e-05|2e-05|0.500000|
  lab|ä,b 'c'|1|0.333333|N/A|nan|0.250000|1.844674e+19
"""

CONFIG = """\
Configuration data as of Mon Nov 21 03:06:40 2022
AccountingStorageHost   = localhost
AccountingStorageType   = accounting_storage/slurmdbd
ClusterName             = pods
SlurmctldHost[0]        = head(10.0.0.1)
SlurmctldHost[1]        = spare
SLURM_CONF              = /etc/slurm/slurm.conf
SLURM_VERSION           = 24.11.5

Cgroup Support Configuration:
SLURM_VERSION           = none of ours

Slurmctld(primary) at head is UP
"""

SDIAG = """\
*******************************************************
sdiag output at Mon Nov 21 03:06:40 2022 (1669000000)
Data since      Mon Nov 21 00:00:00 2022 (1668988800)
*******************************************************
Server thread count:  3
Agent queue size:     1
Agent count:          2
Agent thread count:   6
DBD Agent queue size: 4

Jobs submitted: 100
Jobs started:   90
Jobs completed: 80
Jobs canceled:  5
Jobs failed:    0

Job states ts:  Mon Nov 21 03:06:30 2022 (1668999990)
Jobs pending:   10
Jobs running:   5

Main schedule statistics (microseconds):
\tLast cycle:   57
\tMax cycle:    1500
\tTotal cycles: 480
\tMean cycle:   61
\tMean depth cycle:  1
\tCycles per minute: 2
\tLast queue length: 10

Backfilling stats
\tTotal backfilled jobs (since last slurm start): 20
\tTotal backfilled jobs (since last stats cycle start): 12
\tTotal backfilled heterogeneous job components: 0
\tTotal cycles: 30
\tLast cycle when: Mon Nov 21 03:06:10 2022 (1668999970)
\tLast cycle: 210
\tMax cycle:  990
\tMean cycle: 305
\tLast depth cycle: 4
\tLast depth cycle (try sched): 3
\tDepth Mean: 5
\tDepth Mean (try depth): 6
\tLast queue length: 11
\tQueue length mean: 9
\tLast table size: 8
\tMean table size: 7

Latency for 1000 calls to gettimeofday(): 25 microseconds

Remote Procedure Call statistics by message type
\tREQUEST_PARTITION_INFO                  ( 2009) count:9      ave_time:150    total_time:1350
\tMESSAGE_NODE_REGISTRATION_STATUS        ( 1002) count:4      ave_time:300    total_time:1200

Remote Procedure Call statistics by user
\troot            (       0) count:13     ave_time:196    total_time:2550

Pending RPC statistics
\tNo pending RPCs
"""
# Of 23.11 and later.
EXITS = """\
Main scheduler exit:
\tEnd of job queue:470
\tHit default_queue_depth: 4
\tHit sched_max_job_start: 3
\tBlocked on licenses: 2
\tHit max_rpc_cnt: 1
\tTimeout (max_sched_time): 0

"""
BACKFILL_EXITS = """\
Backfill exit
\tEnd of job queue:25
\tHit bf_max_job_start: 1
\tHit bf_max_job_test: 2
\tSystem state changed: 3
\tHit table size limit (bf_node_space_size): 4
\tTimeout (bf_max_time): 5

"""
NEWER_SDIAG = SDIAG.replace("Backfilling stats\n", f"{EXITS}Backfilling stats\n").replace(
    "Latency", f"{BACKFILL_EXITS}Latency"
)
