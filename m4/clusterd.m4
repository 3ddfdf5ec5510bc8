# Macros of clusterd's configure.ac.

# CLUSTERD_ADD_FLAG(VARIABLE, FLAG)
# Appends FLAG to VARIABLE if the compiler and the linker take it without a warning.
AC_DEFUN([CLUSTERD_ADD_FLAG], [
    AS_VAR_PUSHDEF([cache], [clusterd_cv_flag_$2])
    AC_CACHE_CHECK([whether $CC takes $2], [cache], [
        clusterd_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        CFLAGS=$clusterd_saved_cflags
    ])
    AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
    AS_VAR_POPDEF([cache])
])

# CLUSTERD_ADD_FLAGS(VARIABLE, FLAG FLAG ...)
AC_DEFUN([CLUSTERD_ADD_FLAGS], [
    m4_foreach_w([flag], [$2], [CLUSTERD_ADD_FLAG([$1], m4_defn([flag]))])
])

# CLUSTERD_PKG(PREFIX, MODULE [>= VERSION])
# Sets PREFIX_CFLAGS and PREFIX_LIBS; ends with a message that says how to get what is missing.
AC_DEFUN([CLUSTERD_PKG], [
    PKG_CHECK_MODULES([$1], [$2], [],
        [AC_MSG_ERROR([$2 is missing. Run scripts/install-deps, which installs all that the build needs.])])
])
