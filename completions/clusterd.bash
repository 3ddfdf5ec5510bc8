# bash completion for clusterd, clustersh and clustertop, which know themselves what may follow.
# PROGRAM --complete WORD... prints "TEXT<tab>ABOUT" a line, and last ":" with letters: f files may stand here,
# d folders, n no space belongs behind.

# Sets words to what was typed up to the cursor, in one piece what COMP_WORDBREAKS takes apart.
_clusterd_words() {
    local rest=${COMP_LINE:0:COMP_POINT} piece i
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        [ "$i" = "$COMP_CWORD" ] && piece=${rest#"${rest%%[![:space:]]*}"}
        case $rest in
        [[:space:]]*) words+=("$piece") ;;
        *) [ "$i" = 0 ] && words+=("$piece") || words[${#words[@]} - 1]+=$piece ;;
        esac
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$piece"}
    done
    words=("${words[@]//[\"\'\\]/}")
}

_clusterd() {
    local words program=${1/#\~/$HOME} typed=${2//[\"\'\\]/} before line text about flags= max=0
    local -a texts=() abouts=()
    _clusterd_words
    before=${words[-1]%"$typed"}
    while IFS= read -r line; do
        case $line in
        :*) flags=${line#:} ;;
        *)
            text=${line%%$'\t'*} about=${line#*$'\t'}
            text=${text#"$before"}
            texts+=("$text") abouts+=("$about")
            ((${#text} > max)) && max=${#text}
            ;;
        esac
    done < <("$program" --complete "${words[@]:1}" 2>/dev/null </dev/null)
    COMPREPLY=()
    for line in "${!texts[@]}"; do
        if [ "${COMP_TYPE-}" = 63 ] && [ ${#texts[@]} -gt 1 ] && [ -n "${abouts[line]}" ]; then
            printf -v text '%-*s  %s' "$max" "${texts[line]}" "${abouts[line]}"
            COMPREPLY+=("${text:0:$((${COLUMNS:-80} - 2))}")
        else
            printf -v text %q "${texts[line]}"
            COMPREPLY+=("$text")
        fi
    done
    case $flags in *n*) compopt -o nospace 2>/dev/null ;; esac
    case $flags in
    *f*) text=-f ;;
    *d*) text=-d ;;
    *) return 0 ;;
    esac
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$text" -- "$typed")
    return 0
}

complete -F _clusterd clusterd clustersh clustertop
