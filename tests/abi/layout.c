/* Pins the interface: MILLRACE_LAYOUT is what one release had, MILLRACE_HEADER a header that must
 * keep it, the released one itself (MILLRACE_IS_RELEASED) or today's. What does not hold does not
 * compile. -Wpadded beside it: a struct without padding says by its size which members it has. */
#include MILLRACE_HEADER

#ifdef MILLRACE_IS_RELEASED
#define MAY_GROW ==
#else
#define MAY_GROW >=
#endif

/* Unevaluated: no member is looked at. */
#define HAS_TYPE(expression, ...) _Generic((expression), __VA_ARGS__: 1, default: 0)

#define FIXED(type, its_size) _Static_assert(sizeof(type) == its_size, #type " changed its size");
#define STRUCT(type, its_size) _Static_assert(sizeof(type) MAY_GROW its_size, #type " shrank");
#define MEMBER(type, member, its_offset, ...)                                                  \
    _Static_assert(offsetof(type, member) == its_offset, #type "." #member " moved");          \
    _Static_assert(HAS_TYPE(((type*)0)->member, __VA_ARGS__), #type "." #member " is another " \
                                                                                "type");
#define CALLBACK(type, ...) \
    _Static_assert(HAS_TYPE((type)0, __VA_ARGS__), #type " is another type");
#define CONSTANT(name, its_value) _Static_assert(name == its_value, #name " changed its value");

#include MILLRACE_LAYOUT

_Static_assert(HAS_TYPE(&millrace_plugin, const millrace_plugin_api* (*)(const millrace_host_api*)),
               "millrace_plugin is another type");
