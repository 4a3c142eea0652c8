# Runs one VMM and outlives whoever started it: keeps the serial input open, the console and the error output bounded, and the
# exit code for later. Runs in its own session, with the VM's state directory as working directory.
#
# usage: sh supervise.sh SEGMENT_BYTES ERROR_BYTES VMM [ARGUMENT...]
#
# Leaves there: pids (who runs, with start times, so that a reused process number is not taken for ours), console.000000…
# (segments of exactly SEGMENT_BYTES but for the last; the newest two are kept), errors, exit (the exit code, written when
# console and errors are complete).
set -u
umask 077
ulimit -c 0
segment_bytes=$1
error_bytes=$2
shift 2

# Writes "NAME PID START_TICKS"; the start time is field 22 of /proc/PID/stat (proc(5)), the 20th after the name in parentheses.
identify() {
  name=$1
  pid=$2
  read -r stat < "/proc/$pid/stat"
  set -- ${stat##*) }
  echo "$name $pid ${20}"
}

keep_console() {
  split -a 6 -d -b "$segment_bytes" --filter='
    set -- console.*
    while [ $# -gt 1 ] && [ -e "$1" ]; do rm -f "$1"; shift; done
    cat > "$FILE" || cat > /dev/null' - console. || cat > /dev/null
}

# Written through as they come: what a VMM says before it hangs is needed while it hangs.
keep_errors() {
  split -b "$error_bytes" --filter='
    case $FILE in errors.aa) cat > errors || cat > /dev/null ;; *) cat > /dev/null ;; esac' - errors. || cat > /dev/null
}

run() {
  "$@" <>serial.in 2>&3 3>&- &
  vmm=$!
  { identify supervisor $$; identify vmm "$vmm"; } > pids.new
  mv pids.new pids
  exec 1>&- 3>&-
  wait "$vmm"
  echo $? > exit.new
}

mkfifo serial.in || exit 1
{ run "$@" 3>&1 1>&4 4>&- | keep_errors 4>&-; } 4>&1 | keep_console
rm -f serial.in qmp.sock api.sock initrd
mv exit.new exit
