/* Runs a Lua script with the interpreter of Debian's liblua5.4.a: driver SCRIPT [ARG...]. The script may call back into functions of this file. */
#include <stdio.h>
#include <string.h>
#include <lua5.4/lua.h>
#include <lua5.4/lauxlib.h>
#include <lua5.4/lualib.h>

static int host_add(lua_State *L) {
    lua_pushnumber(L, luaL_checknumber(L, 1) + luaL_checknumber(L, 2));
    return 1;
}

static int host_apply(lua_State *L) {
    /* calls the function given as first argument for each element of a table, through the C API */
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer n = luaL_len(L, 2);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_pushvalue(L, 1);
        lua_geti(L, 2, i);
        lua_call(L, 1, 1);
        lua_seti(L, 3, i);
    }
    return 1;
}

static int host_fail(lua_State *L) { return luaL_error(L, "host failure %d", (int)luaL_optinteger(L, 1, 0)); }

static int yield_done(lua_State *L, int status, lua_KContext context) {
    (void)status;
    lua_pushinteger(L, (lua_Integer)context);
    return lua_gettop(L);
}
static int host_yield(lua_State *L) { return lua_yieldk(L, lua_gettop(L), 99, yield_done); }

struct point { double x, y; };
static int point_new(lua_State *L) {
    struct point *p = lua_newuserdatauv(L, sizeof *p, 0);
    p->x = luaL_checknumber(L, 1);
    p->y = luaL_checknumber(L, 2);
    luaL_setmetatable(L, "point");
    return 1;
}
static int point_add(lua_State *L) {
    struct point *a = luaL_checkudata(L, 1, "point"), *b = luaL_checkudata(L, 2, "point");
    lua_pushcfunction(L, point_new);
    lua_pushnumber(L, a->x + b->x);
    lua_pushnumber(L, a->y + b->y);
    lua_call(L, 2, 1);
    return 1;
}
static int point_text(lua_State *L) {
    struct point *p = luaL_checkudata(L, 1, "point");
    lua_pushfstring(L, "point(%f, %f)", p->x, p->y);
    return 1;
}
static int collected;
static int point_free(lua_State *L) {
    (void)L;
    collected++;
    return 0;
}

static const luaL_Reg host_functions[] = {{"add", host_add}, {"apply", host_apply}, {"fail", host_fail}, {"yield", host_yield}, {"point", point_new}, {NULL, NULL}};
static const luaL_Reg point_methods[] = {{"__add", point_add}, {"__tostring", point_text}, {"__gc", point_free}, {NULL, NULL}};

static int traceback(lua_State *L) {
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: driver SCRIPT [ARG...]\n");
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (!L)
        return 1;
    luaL_openlibs(L);
    luaL_newmetatable(L, "point");
    luaL_setfuncs(L, point_methods, 0);
    lua_pop(L, 1);
    luaL_newlib(L, host_functions);
    lua_setglobal(L, "host");
    lua_createtable(L, argc - 2, 0);
    for (int i = 2; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_seti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");

    lua_pushcfunction(L, traceback);
    int status = luaL_loadfilex(L, argv[1], "t");
    if (status == LUA_OK)
        status = lua_pcall(L, 0, 1, -2);
    if (status != LUA_OK) {
        fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
        return 1;
    }
    int result = (int)lua_tointeger(L, -1);
    lua_close(L);
    printf("points collected: %d\n", collected);
    return result;
}
