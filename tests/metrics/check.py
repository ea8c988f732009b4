"""Every metric that the dashboard and the alerts name is in a scrape, and every metric of a scrape is documented.

usage: check.py SCRAPE   (a file with Prometheus' text format)
"""

import json
import re
import sys

SUFFIX = re.compile(r"_(bucket|sum|count)$")
NAME = re.compile(r"\b(?:tidings|process)_[a-z_]+\b")


def expressions():
    dashboard = json.load(open("deploy/grafana/tidings.json"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield "panel " + panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        yield "variable " + variable["name"], variable.get("definition", "")
    for line in open("deploy/prometheus/alerts.yml"):
        if line.strip().startswith("expr:"):
            yield "alert", line.strip()


def main():
    text = open(sys.argv[1]).read()
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    assert families, "nothing was scraped"
    named = 0
    for place, expression in expressions():
        # `tidings` alone is the job.
        for name in NAME.findall(expression):
            assert name in families or SUFFIX.sub("", name) in families, "%s: there is no %s" % (place, name)
            named += 1
    assert named > 30, named
    readme = open("std-adapter/README.md").read()
    for family in families:
        name = family.removeprefix("tidings_")
        assert family.startswith("process_") or "`%s`" % name in readme, "std-adapter/README.md lacks " + family
    print("%d names in the dashboard and the alerts, %d families" % (named, len(families)))


main()
