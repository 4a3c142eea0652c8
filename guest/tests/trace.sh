#!/bin/sh
# What a workload traces and what the channel has of it: trace.sh [spans]
# Nested spans on four tasks come out whole; a flood of spans (default 1000000) is not held up, and what was lost is said to the last one.
# Prints figures and failures, and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=$here/../zig-out/kernel/ukernel-full.elf
spans=${1:-1000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

"$tools/pack" "$work/image" "$kernel" "$tools/trace" "name trace" "arg trace" \
    "capability log" "capability task" "capability mem" "capability io" "capability trace"

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAIL $1"
    tail -n 15 "$work/log" | sed 's/^/    /'
}

for vcpus in 1 4; do
    RECORDS=1 "$here/boot.sh" "$work/image" $vcpus 64 60 > "$work/log" 2>&1 || true
    if grep -q ' passed, 0 failed' "$work/log" && tail -n 1 "$work/log" | grep -q '^exit 0 0 '; then ok; else bad "nested, $vcpus processors: the workload"; fi
    # Times never fall; a parent is open and known when a child begins; each span ends once; the tasks' spans are their own.
    if awk -v vcpus=$vcpus '
        function wrong(what) { print "FAIL nested, " vcpus " processors: " what ": " $0; bad = 1 }
        /^(begin|end|event) / { if ($2 < last) wrong("back in time"); last = $2; if ($3 >= vcpus) wrong("no such processor") }
        /^begin / {
            if ($5 in name) wrong("a span twice")
            if ($6 != 0 && !($6 in open)) wrong("no open parent")
            name[$5] = $7; parent[$5] = $6; task[$5] = $4; open[$5] = 1; begun++
            wanted = $7 == "run" ? "" : $7 == "task" ? "run" : $7 == "step" ? "task" : "step"
            if (name[$6] != wanted) wrong("another parent than " wanted)
            if ($7 == "task") { if ($4 in of_task) wrong("two on one task"); of_task[$4] = 1; tasks++ }
            if (($7 == "step" || $7 == "leaf") && task[$6] != $4) wrong("another task than the parent")
        }
        /^end / { if (!($5 in open)) wrong("not open"); delete open[$5]; ended++ }
        /^event / { if ($5 != 0 && !($5 in open)) wrong("event in no open span"); events[$6]++ }
        /^1 1 1 before the spans$/ { if (begun > 0) wrong("log out of order"); logs++ }
        /^1 2 1 after the spans$/ { if (ended != begun) wrong("log out of order"); logs++ }
        /^lost / { wrong("losses") }
        END {
            if (begun != 85 || ended != 85 || tasks != 4 || logs != 2) { print "FAIL nested: " begun " begun, " ended " ended, " tasks " tasks, " logs " logs"; bad = 1 }
            if (events["name=worked"] != 40 || events["name=done"] != 4 || events["name=joined"] != 1) { print "FAIL nested: events"; bad = 1 }
            exit bad
        }' "$work/log"; then ok; else failed=$((failed + 1)); fi
    # At its end the kernel says what it holds and how long its disks took: every answer is in a bucket.
    if awk '
        /^statistics / { told = NF == 17 && $3 > 0 && $4 <= $3 && $17 <= $4 }
        /^latency / {
            split($0, parts, ": "); split(parts[2], n, " "); sum = 0
            for (i = 4; i <= 43; i++) sum += n[i]
            if (sum != n[1] || n[3] > n[2]) bad = 1
            if ($0 ~ /image read/ || $0 ~ /channel write/) devices++
        }
        END { exit bad || !told || devices != 2 }' "$work/log"; then ok; else bad "nested, $vcpus processors: the report at the end"; fi
done

# By counted instructions, so that the time holds however busy the host is. The channel takes less in a second than is traced, and is large enough
# for all that it takes.
{ echo "ukernel-config 1"; echo "arg flood"; echo "arg $spans"; } > "$work/configuration"
COUNTED=1 SLOTS=200000 SLOW=500000 RECORDS=1 CONFIG=$work/configuration "$here/boot.sh" "$work/image" 1 64 240 > "$work/log" 2>&1 || true
grep ' spans: ' "$work/log" || true
grep ' passed, 0 failed' "$work/log" > /dev/null && tail -n 1 "$work/log" | grep -q '^exit 0 0 ' && ok || bad "flood: the workload"
if awk -v spans="$spans" '
    /^begin / { begun++ }
    /^end / { ended++ }
    /^lost / { lost_begun += $4; lost_ended += $5; if ($2 != $3 + $4 + $5 + $6 + $7) bad = 1; losses++ }
    END {
        printf "in the channel: %d begins and %d ends, %d and %d lost, said in %d records\n", begun, ended, lost_begun, lost_ended, losses
        exit bad || begun + lost_begun != spans || ended + lost_ended != spans || losses == 0
    }' "$work/log"; then ok; else bad "flood: what was written and what was lost are not all"; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
