// Exceptions, RTTI and containers; probe() returns 42 if all of them work after loading.
#include <map>
#include <stdexcept>
#include <string>
#include <typeinfo>
extern "C" int dep_value(int);
struct Base { virtual ~Base() = default; virtual int value() const { return 1; } };
struct Derived : Base { int value() const override { return 41; } };
static std::map<std::string, int> table{{"one", 1}, {"two", 2}};
static int thrower(int x) { if (x) throw std::runtime_error("thrown"); return 0; }

extern "C" int probe()
{
    Derived derived;
    Base *base = &derived;
    if (!dynamic_cast<Derived *>(base) || typeid(*base) != typeid(Derived)) return 1;
    try { thrower(static_cast<int>(table.size())); return 2; }
    catch (const std::exception &error) { if (std::string(error.what()) != "thrown") return 3; }
    if (dep_value(table.at("two")) != 4) return 4;
    return base->value() + table["one"];
}
