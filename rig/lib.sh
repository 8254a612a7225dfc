# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# rig/lib.sh - small functions of rig/vm that need nothing of its state.

is_number() { # TEXT MIN MAX
	[[ $1 =~ ^[0-9]{1,9}$ ]] && [ "$((10#$1))" -ge "$2" ] && [ "$((10#$1))" -le "$3" ]
}

# Prints a size in MiB. A plain number is MiB, as with QEMU; suffixes are binary.
mebibytes() { # SIZE
	local n
	[[ $1 =~ ^([0-9]{1,9})([kKmMgGtT]?)[iI]?[bB]?$ ]] || return 1
	n=$((10#${BASH_REMATCH[1]}))
	case ${BASH_REMATCH[2]} in
	[kK]) [ $((n % 1024)) -eq 0 ] || return 1; echo $((n / 1024)) ;;
	''|[mM]) echo "$n" ;;
	[gG]) echo $((n * 1024)) ;;
	[tT]) echo $((n * 1024 * 1024)) ;;
	esac
}

# Quotes for any POSIX shell.
shell_quote() { # TEXT
	local q="'\\''"
	printf "'%s'" "${1//\'/$q}"
}

# Copies a file or folder into the tree ROOT at DEST, following symbolic links, and
# with it the interpreter and the shared libraries of every dynamic program.
add_tree() { # ROOT PATH DEST
	local root=$1 path=$2 dest=$3 f
	mkdir -p "$root$(dirname "$dest")"
	if [ -d "$path" ]; then
		mkdir -p "$root$dest"
		cp -rL --preserve=mode "$path/." "$root$dest/"
	else
		cp -L --preserve=mode "$path" "$root$dest"
	fi
	find -L "$path" -type f | while read -r f; do
		add_libraries "$root" "$f"
	done
}

is_elf() { [ "$(head -c 4 "$1" 2>/dev/null | od -An -tx1 | tr -d ' ')" = 7f454c46 ]; }

add_libraries() { # ROOT FILE
	local lib
	is_elf "$2" || return 0
	# A static program has none, and then ldd fails.
	{ ldd "$2" 2>/dev/null || true; } | sed -n \
		-e 's|.* => \(/[^ ]*\) (.*|\1|p' \
		-e 's|^[[:space:]]*\(/[^ ]*\) (.*|\1|p' | while read -r lib; do
		[ ! -e "$1$lib" ] || continue
		mkdir -p "$1$(dirname "$lib")"
		cp -L "$lib" "$1$lib"
	done
}

# Reads a kernel log on standard input, prints every report in it that means that
# something is broken, each with what follows it, and succeeds if there was any.
log_trouble() {
	awk '
	# How many lines to show after a line that starts a report.
	BEGIN { after = 25; left = 0; found = 0 }
	{ text = $0; sub(/^\[[^]]*\][ ]*/, "", text) }
	text ~ /^WARNING: / || text ~ /WARNING: CPU/ || text ~ /BUG: / ||
	text ~ /^Oops/ || text ~ /kernel BUG at/ || text ~ /^(Oops: )?general protection fault/ ||
	text ~ /INFO: (possible|inconsistent|trying to register|task .* blocked)/ ||
	text ~ /possible (circular|recursive|irq lock|deadlock)/ ||
	text ~ /suspicious RCU usage/ ||
	text ~ /detected (expedited )?stalls|self-detected stall/ ||
	text ~ /Bad page (state|map)|bad: scheduling|Bad rss-counter/ ||
	text ~ /sleeping function called|scheduling while atomic/ ||
	text ~ /unchecked MSR access error/ ||
	text ~ /^UBSAN:|^KASAN|^KFENCE|KCSAN/ || text ~ /refcount_t: / ||
	text ~ /list_(add|del) corruption/ || text ~ /pagealloc: (memory|single bit)/ ||
	text ~ /kmemleak: [0-9]+ new suspected/ || text ~ /Kernel panic/ ||
	text ~ /Unable to handle|unable to handle/ || text ~ /soft lockup|hard LOCKUP/ {
		found = 1
		left = after
	}
	left > 0 { print; left-- }
	END { exit !found }'
}

# ---- what takes long ----
#
# A line on standard error that says how far it is, drawn again and again; only on a terminal, only after two seconds,
# and gone when it is over. Nothing may be printed in between.

# One line for progress_begin: a bar of 30 where the whole is known, else the time.
progress_line() { # TEXT SECONDS [DONE TOTAL]: bytes
	local n bar=##############################
	if [ -n "${4:-}" ] && [ "$4" -gt 0 ]; then
		n=$(($3 < $4 ? $3 * 30 / $4 : 30))
		printf '%s [%-30s] %d of %d MB' "$1" "${bar:0:n}" $(($3 / 1000000)) $(($4 / 1000000))
	else
		printf '%s (%d s)' "$1" "$2"
	fi
}

progress_show() { # LINE; empty: it is over
	printf '\r\033[K%s' "$1" >&2
}

# With FOLDER and BYTES: what is in the folder so far, of so many.
progress_begin() { # TEXT [FOLDER BYTES]
	progress_pid=''
	[ -t 2 ] || return 0
	(
		trap - EXIT ERR
		trap 'exit 0' TERM
		start=$SECONDS
		sleep 2
		while kill -0 $$ 2>/dev/null; do
			done_bytes=''
			[ -z "${2:-}" ] || done_bytes=$(du -sb "$2" 2>/dev/null | cut -f1)
			progress_show "$(progress_line "$1" $((SECONDS - start)) "${done_bytes:-0}" "${3:-}")"
			sleep 0.5
		done
	) &
	progress_pid=$!
}

progress_end() {
	[ -n "${progress_pid:-}" ] || return 0
	kill "$progress_pid" 2>/dev/null || true
	wait "$progress_pid" 2>/dev/null || true
	progress_pid=''
	progress_show ''
}
