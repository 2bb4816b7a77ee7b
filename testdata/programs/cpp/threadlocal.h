#include <atomic>
#include <string>
extern std::atomic<int> constructed, destroyed, sum_at_end;
struct Local {
    std::string text;
    int value;
    explicit Local(int v);
    ~Local();
};
extern thread_local Local other_local;
extern thread_local int plain_local;
inline thread_local Local inline_local(3);
Local &function_local();
