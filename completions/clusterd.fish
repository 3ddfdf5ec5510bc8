# fish completion for clusterd, clustersh and clustertop, which know themselves what may follow.
# PROGRAM --complete WORD... prints "TEXT<tab>ABOUT" a line, and last ":" with letters: f files may stand here,
# d folders, n no space belongs behind.

function __clusterd_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l flags
    for line in (command $program --complete $words "$current" 2>/dev/null </dev/null)
        if string match -q -- ':*' "$line"
            set flags $line
        else
            echo -- $line
        end
    end
    if string match -q -- '*f*' "$flags"
        __fish_complete_path "$current"
    else if string match -q -- '*d*' "$flags"
        __fish_complete_directories "$current"
    end
end

for program in clusterd clustersh clustertop
    complete -c $program -f -a '(__clusterd_complete)'
end
