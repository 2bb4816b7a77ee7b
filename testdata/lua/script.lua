-- Exercises the interpreter: closures, coroutines, strings, tables, metatables, errors, goto, integers and floats, the C API.
-- Prints nothing that depends on addresses, time or the order of pairs().

local function section(name) print("== " .. name) end
local function keys(t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = k end
  table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
  return list
end

section "closures"
local function counter(step)
  local n = 0
  return function() n = n + step; return n end, function() return n end
end
local up, peek = counter(3)
for _ = 1, 5 do up() end
print(up(), peek())
local adders = {}
for i = 1, 5 do adders[i] = function(x) return x + i end end
print(adders[1](10), adders[5](10), select("#", table.unpack(adders)))
local function curry(f, ...)
  local bound = table.pack(...)
  return function(...)
    local all = table.move(table.pack(...), 1, select("#", ...), bound.n + 1, {table.unpack(bound, 1, bound.n)})
    return f(table.unpack(all, 1, bound.n + select("#", ...)))
  end
end
print(curry(math.max, 3, 9)(4, 12, 7))

section "coroutines"
local function walk(n) -- a recursive generator
  if n > 0 then walk(n - 1); coroutine.yield(n); walk(n - 1) end
end
local seen = {}
for v in coroutine.wrap(function() walk(4) end) do seen[#seen + 1] = v end
print(table.concat(seen, " "))
local pipe = coroutine.create(function(a)
  local b = coroutine.yield(a * 2)
  local ok, err = pcall(function() coroutine.yield("inside pcall"); error({code = 5}) end)
  local c = coroutine.yield(b .. "!" .. tostring(ok) .. err.code)
  error("pipe broke with " .. c)
end)
print(coroutine.resume(pipe, 21))
print(coroutine.resume(pipe, "two"))
print(coroutine.resume(pipe))
print(coroutine.resume(pipe, "three"))
print(coroutine.status(pipe), coroutine.resume(pipe))
local through_c = coroutine.wrap(function(...) return "done", host.yield(...) end)
print(through_c(1, "x"))
print(through_c("resumed"))
local primes = coroutine.wrap(function()
  local function filter(p, src) return coroutine.wrap(function() for n in src do if n % p ~= 0 then coroutine.yield(n) end end end) end
  local src = coroutine.wrap(function() for n = 2, 300 do coroutine.yield(n) end end)
  while true do
    local p = src()
    if not p then return end
    coroutine.yield(p); src = filter(p, src)
  end
end)
local sum, count = 0, 0
for p in primes do sum = sum + p; count = count + 1 end
print(count, sum)

section "strings"
local text = "The quick brown fox jumps over the lazy dog"
print(#text, text:upper(), text:reverse():sub(1, 8), text:rep(2, "|"):len())
for word, pos in text:gmatch("(%a+)()") do io.write(word:lower(), "@", pos, " ") end
print()
print(text:gsub("%f[%a](%a)(%a*)", function(a, b) return b .. a end))
print(("key = value; other=thing"):gsub("(%w+)%s*=%s*(%w+)", "%2:%1"))
print(text:find("fox"), text:find("o", 20, true), text:match("(%w+) over (%w+)"))
print(string.format("%5d|%-8s|%08.3f|%x|%q|%g|%i|%c|%5.1f%%", 42, "left", math.pi, 255, 'a "quoted"\nline', 1e20, -7, 65, 99.55))
print(string.format("%10.4s|%+d|%e|%a", "truncated", 5, 12345.678, 0.5))
print(string.byte("ABC", 1, -1), string.char(72, 105), ("%d"):rep(3, ","):format(1, 2, 3))
print(utf8.char(228, 8364, 128512), utf8.len("äöü€"), #utf8.char(8364))
print(string.pack("<i4 z s1", 100, "zero", "short"):byte(1, -1))
print(string.unpack("<i4 z s1", string.pack("<i4 z s1", -100, "zero", "short")))
local buffer = {}
for i = 1, 2000 do buffer[#buffer + 1] = string.format("%d:%s", i, ("x"):rep(i % 7)) end
local joined = table.concat(buffer, ",")
local h = 5381
for i = 1, #joined do h = (h * 33 + joined:byte(i)) & 0xffffffff end
print(#joined, string.format("%08x", h))

section "tables"
local list = {}
local seed = 42
local function random(n) seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed % n end
for i = 1, 3000 do list[i] = {id = i, key = random(500), name = "n" .. random(100)} end
table.sort(list, function(a, b) if a.key ~= b.key then return a.key < b.key end return a.id < b.id end)
local ok = true
for i = 2, #list do ok = ok and (list[i - 1].key < list[i].key or list[i - 1].key == list[i].key and list[i - 1].id < list[i].id) end
print(ok, list[1].id, list[1].key, list[#list].id, list[#list].key)
local groups = {}
for _, r in ipairs(list) do groups[r.name] = (groups[r.name] or 0) + 1 end
local names = keys(groups)
print(#names, names[1], groups[names[1]], names[#names], groups[names[#names]])
table.insert(names, 1, "first"); table.remove(names); table.remove(names, 2)
print(#names, names[1], names[2], table.concat(table.move(names, 1, 3, 2, {"moved"}), " "))
print(pcall(table.sort, {3, 1, "x"}))
local weak = setmetatable({}, {__mode = "k"})
for i = 1, 50 do weak[{}] = i end
collectgarbage()
print(next(weak))

section "metatables"
local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({x = a.x + b.x, y = a.y + b.y}, Vector) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Vector.__lt = function(a, b) return a.x < b.x end
Vector.__le = function(a, b) return a.x <= b.x end
Vector.__len = function(v) return v.x * v.x + v.y * v.y end
Vector.__call = function(v, k) return v[k] end
Vector.__concat = function(a, b) return tostring(a) .. "~" .. tostring(b) end
Vector.__tostring = function(v) return "(" .. v.x .. "," .. v.y .. ")" end
Vector.__unm = function(v) return setmetatable({x = -v.x, y = -v.y}, Vector) end
Vector.__close = function(v) print("closed", v) end
local function vec(x, y) return setmetatable({x = x, y = y}, Vector) end
local a, b = vec(1, 2), vec(3, 4)
print(tostring(a + b), a == vec(1, 2), a < b, a >= b, #b, b("y"), a .. b, tostring(-a), a .. "!")
do local c <close> = vec(9, 9); local k <const> = 5; print("in block", k) end
local log = {}
local proxy = setmetatable({}, {
  __index = function(_, k) log[#log + 1] = "get " .. k; return k .. "?" end,
  __newindex = function(t, k, v) log[#log + 1] = "set " .. k; rawset(t, k, v) end,
})
proxy.one = proxy.two; proxy.one = 5
print(proxy.one, proxy.three, table.concat(log, ";"))
local Animal = {}; Animal.__index = Animal
function Animal.new(name) return setmetatable({name = name}, Animal) end
function Animal:speak() return self.name .. " makes a sound" end
local Dog = setmetatable({}, {__index = Animal}); Dog.__index = Dog
function Dog.new(name) return setmetatable(Animal.new(name), Dog) end
function Dog:speak() return Animal.speak(self) .. ": woof" end
print(Dog.new("rex"):speak(), getmetatable("").__index == string)

section "errors"
local function fails(kind)
  if kind == 1 then error("a message") end
  if kind == 2 then error("no position", 0) end
  if kind == 3 then error({code = 42}) end
  if kind == 4 then return nil + 1 end
  if kind == 5 then return ("x").y.z end
  if kind == 6 then host.fail(77) end
  if kind == 7 then return fails(7) + 1 end -- overflows Lua's own stack
  if kind == 8 then return 1 // 0 end
  if kind == 9 then return string.rep("x", -1):bad() end
  return kind
end
for kind = 0, 9 do
  local good, e = pcall(fails, kind)
  if type(e) == "table" then e = "table " .. e.code end
  print(kind, good, (tostring(e):gsub("^.*script.lua:%d+: ", ""):gsub("%s*stack traceback.*", ""):gsub("%(message.*", ""):sub(1, 60)))
end
print(xpcall(fails, function(m) return "handled: " .. tostring(m):match("[^:]+$") end, 1))
local depth = 0
local function nest(n) if n == 0 then error("deep", 0) end local good, e = pcall(nest, n - 1); depth = depth + 1; error(e, 0) end
print(pcall(nest, 100)); print(depth)
print(select(2, pcall(error)), pcall(pcall), select("#", pcall(error, nil)))
print(load("return 1 +")); print(load("return ...", "chunk", "t", {})(7))
for i = 1, 20000 do pcall(error, i) end

section "numbers"
print(1 // 1, 7 // 2, -7 // 2, 7 % -3, -7 % 3, 7.5 // 2, 2 ^ 10, 10 / 2, 3 | 4, 7 & 2, 5 ~ 1, ~0, 1 << 62, 1 << 64, -1 >> 60)
print(math.maxinteger + 1 == math.mininteger, math.tointeger(3.0), 3 == 3.0, math.type(1), math.type(1.0), 1e15, 1e16, 2^53, -0.0)
print(0x7fffffffffffffff, 0xffffffffffffffff, 1e308 * 10, tostring(0 / 0):gsub("-", ""), math.ult(1, -1), 5 // 0.0, -5 % math.huge)
print(string.format("%.14g %.3f %d", math.sin(1) + math.sqrt(2), math.exp(2.5), math.floor(-3.5)), tonumber("0x1p4"), tonumber("zz", 36), tonumber("8", 8))
local f = {}
for i = 0, 90 do f[i] = i < 2 and i or f[i - 1] + f[i - 2] end
print(f[90], #tostring(f[80]))

section "control"
for i = 3, 1, -1 do
  for j = 1, 3 do
    if j == i then goto continue end
    io.write(i, j, " ")
    ::continue::
  end
end
print()
local function varargs(...)
  local n = select("#", ...)
  return n, (...), select(-1, ...)
end
print(varargs(nil, 2, nil, "last"))
local t = {f = function(self, ...) return self.v, ... end, v = "method"}
print(t:f(1, 2), (t:f(1, 2)))

section "queens"
local N, solutions = 7, 0
local cols, d1, d2 = {}, {}, {}
local function place(row)
  if row > N then solutions = solutions + 1 return end
  for c = 1, N do
    if not (cols[c] or d1[row + c] or d2[row - c]) then
      cols[c], d1[row + c], d2[row - c] = true, true, true
      place(row + 1)
      cols[c], d1[row + c], d2[row - c] = nil, nil, nil
    end
  end
end
place(1)
print(solutions)

section "host"
print(host.add(1.5, 2), table.concat(host.apply(function(x) return x * x end, {1, 2, 3, 4}), " "))
print(tostring(host.point(1, 2) + host.point(0.5, 0.25)))
print(pcall(host.apply, function(x) error("from callback " .. x, 0) end, {1}))
print(select(2, pcall(host.add, 1, {})))
for i = 1, 1000 do local _ = host.point(i, i) end
print(#arg, arg[1], arg[2])
return 5
