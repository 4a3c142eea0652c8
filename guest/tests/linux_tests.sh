#!/bin/sh
# Runs unmodified Linux programs through the linux adapter, in QEMU: linux_tests.sh
# Prints a line for each failure and each test that this machine cannot run, and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
KERNEL=$here/../zig-out/kernel/ukernel-full.elf
export KERNEL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

expect() { # what status-line-pattern text image vcpus memory seconds
    what=$1 end=$2 text=$3
    shift 3
    "$here/boot.sh" "$work/$1.img" "$2" "$3" "$4" > "$work/log" 2>&1 || true
    last=$(tail -n 1 "$work/log")
    if expr "$last" : "$end" > /dev/null && grep -q -- "$text" "$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what: wanted '$end' and '$text'"
        sed 's/^/    /' "$work/log" | tail -n 20
    fi
}

# Another line of the run that expect has just made.
holds() { # what text
    if grep -q -- "$2" "$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $1: no line '$2'"
    fi
}

image() { # name entry line...
    name=$1
    shift
    "$here/linux-image" "$work/$name.img" "$work/$name" "$@"
}

# Calls and their errors; the same program on this machine's Linux says whether the expectations are right.
calls=$here/../zig-out/tests/linux-calls
mkdir -p "$work/calls/bin" && cp "$calls" "$work/calls/bin/linux-calls"
if "$calls" > "$work/log" 2>&1 || [ $? = 9 ]; then
    passed=$((passed + 1))
else
    failed=$((failed + 1))
    echo "FAIL linux-calls on Linux itself"
    sed 's/^/    /' "$work/log"
fi
image calls /bin/linux-calls "arg linux-calls" "capability net"
for vcpus in 1 4; do
    RECORDS=1 expect "calls, $vcpus processors" 'exit 9 1 ' '^[1-9][0-9]* passed, 0 failed' calls $vcpus 64 60
    holds "calls, $vcpus processors" 'system call 177 (get_kernel_syms) is not served: thread 1 (linux-calls), pc'
done

# Debian's static busybox.
busybox=/bin/busybox
if [ -x $busybox ] && ! ldd $busybox > /dev/null 2>&1; then
    mkdir -p "$work/echo/bin" && cp $busybox "$work/echo/bin/busybox"
    image echo /bin/busybox "arg echo" "arg hello from busybox"
    expect 'busybox echo' 'exit 0 1 ' '^hello from busybox' echo 1 32 30
    cp -r "$work/echo" "$work/folder"
    image folder /bin/busybox "arg pwd" "env PWD=/bin/../bin"
    expect 'busybox pwd' 'exit 0 1 ' '^/bin' folder 1 32 30
    cp -r "$work/echo" "$work/missing"
    image missing /bin/absent "arg absent"
    expect 'a program that is not there' 'exit 127 ' '/bin/absent cannot be started: it is not in the image' missing 1 32 30
    cp -r "$work/echo" "$work/shell"
    # No process is made: every word is the shell's own.
    image shell /bin/busybox "arg sh" "arg -c" \
        'arg set -e; cd /tmp; echo one > a; echo two >> a; read x < a; echo $x; test -d /bin; test ! -e /none; echo no > /bin/x || echo denied; exit 7'
    expect 'busybox sh' 'exit 7 ' '^denied' shell 1 32 30
    image shell /bin/busybox "arg sleep" "arg 30"
    STOP_AFTER=2 expect 'a stop request without a handler' 'exit 143 1 ' 'ended by signal 15' shell 1 32 30
    image shell /bin/busybox "arg sh" "arg -c" 'arg trap "echo trapped; exit 6" TERM; while :; do :; done'
    STOP_AFTER=2 expect 'a stop request with a handler' 'exit 6 1 ' '^trapped' shell 1 32 30
else
    echo "not run: busybox: no static /bin/busybox here (package busybox-static)"
fi

# A static Go program, compiled here: threads, timers, collection, preemption, faults and signals (linux_hello.go).
if command -v go > /dev/null; then
    mkdir -p "$work/go/bin"
    if GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0 GOCACHE="${GOCACHE:-${HOME:-/tmp}/.cache/go-build}" \
        timeout 300 go build -trimpath -o "$work/go/bin/hello" "$here/linux_hello.go" > "$work/log" 2>&1; then
        image go /bin/hello "arg hello"
        for vcpus in 1 2 4; do
            expect "Go, $vcpus processors" 'exit 3 1 ' '^hello from go, 499500' go $vcpus 128 60
            for line in 'timer: true' 'collected: true' 'preempted: true' 'fault: runtime error: invalid memory address' \
                'signal: user defined signal 1' 'file: written <nil>'; do
                holds "Go, $vcpus processors" "^$line"
            done
        done
    else
        failed=$((failed + 1))
        echo "FAIL Go: linux_hello.go does not compile"
        sed 's/^/    /' "$work/log"
    fi
else
    echo "not run: Go: no go command here"
fi

# Debian's CPython: dynamic, with glibc and the whole standard library.
python=$(readlink -f /usr/bin/python3 2> /dev/null || true)
library=/usr/lib/$(basename "${python:-none}")
if [ -x "$python" ] && [ -d "$library" ]; then
    mkdir -p "$work/python/usr/bin" "$work/python/usr/lib"
    cp "$python" "$work/python/usr/bin/python3"
    cp -a "$library" "$work/python/usr/lib/"
    # Debian's is a link to /etc.
    rm -f "$work/python$library/sitecustomize.py"
    for file in $(ldd "$python" "$library"/lib-dynload/*.so | grep -o '/[^ :]* (' | tr -d ' (' | sort -u); do
        mkdir -p "$work/python$(dirname "$file")"
        cp -L "$file" "$work/python$file"
    done
    image python /usr/bin/python3 "arg python3" "arg -c" "arg print(1)"
    expect 'CPython print(1)' 'exit 0 1 ' '^1$' python 1 128 60
    cp "$here/linux_hello.py" "$work/python/hello.py"
    image python /usr/bin/python3 "arg python3" "arg /hello.py"
    for vcpus in 1 4; do
        expect "CPython, $vcpus processors" 'exit 5 1 ' '^hello from python' python $vcpus 192 120
        for line in 'threads: 4950' 'asyncio: 45' 'timer: True' 'file: written' 'signal: 10' 'stdlib: 2' 'pipe: through'; do
            holds "CPython, $vcpus processors" "^$line"
        done
    done
    image python /usr/bin/python3 "arg python3" "arg -c" "arg import ctypes; ctypes.string_at(0)"
    expect 'a fault that nobody handles' 'exit 139 3 ' 'null pointer' python 1 128 60
else
    echo "not run: CPython: no /usr/bin/python3 with its library below /usr/lib here (package python3)"
fi

# A JVM with its base module, compiler and concurrent collector.
jdk=
for candidate in "${JAVA_HOME:-/none}" /usr/lib/jvm/*25*; do
    if [ -x "$candidate/bin/jlink" ] && "$candidate/bin/javac" -version 2>&1 | grep -q '^javac 25'; then jdk=$candidate; break; fi
done
if [ -n "$jdk" ]; then
    mkdir -p "$work/java"
    cp "$here/linux_hello.java" "$work/Hello.java"
    if timeout 300 "$jdk/bin/javac" -d "$work/java" "$work/Hello.java" > "$work/log" 2>&1 &&
        timeout 300 "$jdk/bin/jlink" --add-modules java.base --strip-java-debug-attributes --output "$work/java/jdk" >> "$work/log" 2>&1; then
        for file in $(ldd "$work"/java/jdk/bin/java "$work"/java/jdk/lib/*.so "$work"/java/jdk/lib/server/*.so |
            grep -o '/[^ :]* (' | tr -d ' (' | grep -v "^$work" | sort -u); do
            mkdir -p "$work/java$(dirname "$file")"
            cp -L "$file" "$work/java$file"
        done
        image java /jdk/bin/java "capability mem:exec-write" "arg java" "arg -XX:+UseG1GC" "arg -cp" "arg /" "arg Hello"
        for vcpus in 1 2; do
            expect "JVM, $vcpus processors" 'exit 7 1 ' '^hello from java' java $vcpus 512 240
            for line in 'virtual: true' 'threads: 99999000000' 'fault: true' 'timer: true' 'file: written'; do
                holds "JVM, $vcpus processors" "^$line"
            done
        done
    else
        failed=$((failed + 1))
        echo "FAIL JVM: linux_hello.java is not compiled, or jlink makes no image"
        sed 's/^/    /' "$work/log"
    fi
else
    echo "not run: JVM: no JDK 25 in JAVA_HOME or /usr/lib/jvm/*25* (./build installs one)"
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
