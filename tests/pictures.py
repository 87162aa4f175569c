"""pictures.py SCRIPT FOLDER: checks what SCRIPT draws of FOLDER/trace.json, and of what a program would have left of that when killed."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def check(script, trace, events):
    picture = trace.replace(".json", ".svg")
    if os.path.exists(picture):
        os.remove(picture)
    subprocess.run([sys.executable, script, trace, picture], check=True)
    root = xml.etree.ElementTree.parse(picture).getroot()
    assert root.tag == SVG + "svg", root.tag

    texts = ["".join(text.itertext()).strip() for text in root.iter(SVG + "text")]
    workers = {event["tid"] for event in events if "tid" in event}
    for worker in workers:
        assert texts.count(f"Worker-{worker + 1}") == 1, f"Worker-{worker + 1} is not once among {texts}"
    assert len([text for text in texts if text.startswith("Worker-")]) == len(workers), texts

    # gnuplot's groups have their line of the legend as a title, and hold its box too.
    boxes = {}
    for group in root.iter(SVG + "g"):
        title = group.findtext(SVG + "title") or ""
        if title.startswith("SPORK_"):
            boxes[title] = len(list(group.iter(SVG + "polygon"))) - 1
    spans = {}
    for event in events:
        if event["ph"] == "X":
            status = event["args"]["status"]
            spans[status] = spans.get(status, 0) + 1
    assert boxes == spans, f"boxes: {boxes}, spans: {spans}"
    print(f"{picture}: {len(workers)} workers, {spans}")


def main():
    script, folder = sys.argv[1:]
    trace = os.path.join(folder, "trace.json")
    with open(trace) as f:
        text = f.read()
    events = json.loads(text)
    assert len({event["tid"] for event in events if "tid" in event}) == 2, "the program has two workers"
    assert {"SPORK_OK", "SPORK_FAILED"} <= {event["args"].get("status") for event in events}, "some tasks are well and some fail"
    check(script, trace, events)

    cut = os.path.join(folder, "cut.json")
    lines = text.splitlines()
    with open(cut, "w") as f:  # half an event at its end
        f.write("\n".join(lines[:-4] + [lines[-4][:30]]))
    check(script, cut, json.loads("\n".join(lines[:-4]).rstrip(",") + "]"))


main()
