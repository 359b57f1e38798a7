#!/usr/bin/env python3
"""Compares the recurring plugin's occurrences with python-dateutil's over random RRULEs.

Usage: compare.py DRIVER [CASES] [SEED]. Exit 0: all equal, 1: they differ (the first cases are shown), 77: no dateutil.

Left out are the rules in which dateutil itself differs from RFC 5545: BYDAY that mixes ordinals and plain days, BYSETPOS in
the first, partial week, and local times that do not exist (dateutil keeps them, the RFC moves them forward). Rules in which
dateutil fails are counted as skipped.
"""
import datetime
import random
import subprocess
import sys
import zoneinfo

try:
    from dateutil import rrule
except ImportError:
    print("skipped: python3-dateutil is not installed")
    sys.exit(77)

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]
COUNT = 20
# dateutil walks to the last year for a rule that matches nothing; 9999 would take seconds for each.
LAST_YEAR = 2300
datetime.MAXYEAR = LAST_YEAR


def some(source, values, most):
    return ",".join(str(value) for value in source.sample(values, source.randint(1, most)))


def month_days(source):
    return some(source, list(range(1, 32)) + list(range(-31, 0)), 4)


def ordinal_days(source, highest):
    days = set()
    for _ in range(source.randint(1, 3)):
        days.add(f"{source.choice([-1, 1]) * source.randint(1, highest)}{source.choice(DAYS)}")
    return ",".join(sorted(days))


def by_parts(source, frequency, weekly_anchor):
    parts = []
    if source.random() < 0.3:
        parts.append("BYMONTH=" + some(source, list(range(1, 13)), 4))
    chance = source.random()
    if frequency in ("MONTHLY", "YEARLY") and chance < 0.3:
        parts.append("BYDAY=" + ordinal_days(source, 5 if frequency == "MONTHLY" else 12))
    elif chance < 0.6:
        parts.append("BYDAY=" + some(source, DAYS, 4))
    if frequency != "WEEKLY" and source.random() < 0.4:
        parts.append("BYMONTHDAY=" + month_days(source))
    if frequency == "YEARLY" and len(parts) == 0 and source.random() < 0.3:
        parts.append("BYYEARDAY=" + some(source, list(range(1, 367)) + list(range(-366, 0)), 4))
    if source.random() < 0.15:
        parts.append("BYHOUR=" + some(source, list(range(4, 24)), 3))
    if source.random() < 0.1:
        parts.append("BYMINUTE=" + some(source, list(range(60)), 2))
    positions = frequency != "WEEKLY" or weekly_anchor
    if parts and positions and source.random() < 0.25:
        parts.append("BYSETPOS=" + some(source, [1, 2, 3, -1, -2], 2))
    return parts


def random_case(source):
    # The night hours are left out: there the clocks change.
    start = datetime.datetime(source.randint(1998, 2040), source.randint(1, 12), source.randint(1, 28),
                              source.randint(4, 23), source.randint(0, 59), source.randint(0, 59))
    start += datetime.timedelta(days=source.randint(0, 3))
    frequency = source.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    week_start = source.choice(DAYS)
    parts = ["FREQ=" + frequency]
    if source.random() < 0.5:
        parts.append(f"INTERVAL={source.randint(1, 14)}")
    if source.random() < 0.4 or frequency == "WEEKLY":
        parts.append("WKST=" + week_start)
    parts += by_parts(source, frequency, start.weekday() == DAYS.index(week_start))
    zone = source.choice(ZONES)
    chance = source.random()
    if chance < 0.2:
        parts.append(f"COUNT={source.randint(1, 40)}")
    else:
        end = start + datetime.timedelta(days=source.randint(0, 3000) if chance < 0.5 else 4000)
        parts.append(end.strftime("UNTIL=%Y%m%dT%H%M%SZ"))
    source.shuffle(parts)
    return zone, start, ";".join(parts)


def expected(zone_name, start, rule):
    """None: dateutil cannot say."""
    zone = zoneinfo.ZoneInfo(zone_name)
    times = []
    try:
        for time in rrule.rrulestr(rule, dtstart=start.replace(tzinfo=zone)):
            if len(times) == COUNT:
                break
            times.append(time.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    except (IndexError, ValueError):
        return None
    return ",".join(times)


def before_last_year(answer):
    return ",".join(time for time in answer.split(",") if time[:4] < str(LAST_YEAR - 1) or not time[:4].isdigit())


def main():
    driver = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20260131
    source = random.Random(seed)
    asked = [random_case(source) for _ in range(cases)]
    lines = "".join(f"{zone}\t{start.isoformat()}\t{COUNT}\t{rule}\n" for zone, start, rule in asked)
    answers = subprocess.run([driver], input=lines, capture_output=True, text=True, check=True).stdout.split("\n")
    different = 0
    skipped = 0
    for (zone, start, rule), answer in zip(asked, answers):
        wanted = expected(zone, start, rule)
        if wanted is None:
            skipped += 1
        if wanted is None or before_last_year(answer) == before_last_year(wanted):
            continue
        different += 1
        if different <= 5:
            print(f"{rule} from {start.isoformat()} in {zone}\n  ours:     {answer}\n  dateutil: {wanted}")
    print(f"{cases} rules compared (seed {seed}), {different} differ, {skipped} skipped")
    return 1 if different or skipped > cases // 10 else 0


sys.exit(main())
