// Streams: formatting, string streams, user-defined inserters and manipulators, reading of standard input, error states, own buffer.
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>

struct Point { int x, y; };
static std::ostream &operator<<(std::ostream &out, const Point &p) { return out << '(' << p.x << ", " << p.y << ')'; }
static std::istream &operator>>(std::istream &in, Point &p) {
    char open, comma, close;
    return in >> open >> p.x >> comma >> p.y >> close;
}
static std::ostream &rule(std::ostream &out) { return out << std::string(12, '-') << '\n'; }

struct Upper : std::streambuf {
    std::streambuf *to;
    explicit Upper(std::streambuf *b) : to(b) {}
    int overflow(int c) override { return c == EOF ? 0 : to->sputc(static_cast<char>(std::toupper(c))); }
    int sync() override { return to->pubsync(); }
};

int main() {
    std::cout << 42 << ' ' << 2.5 << ' ' << 'c' << ' ' << "text" << ' ' << std::boolalpha << true << ' ' << 1e20f << '\n' << rule;
    std::cout << std::hex << std::showbase << 255 << ' ' << std::oct << 8 << std::dec << std::noshowbase << '\n';
    std::cout << std::setw(8) << std::setfill('*') << 42 << std::left << std::setw(8) << "left" << std::internal << std::setw(8) << -5 << std::setfill(' ') << '\n';
    std::cout << std::fixed << std::setprecision(3) << 3.14159 << ' ' << std::scientific << 12345.678 << std::defaultfloat << ' ' << 0.1 << '\n';
    Point p{3, -4}, q{};
    std::istringstream parse("(10, 20) (30, 40) broken");
    while (parse >> q)
        std::cout << p << q << ' ';
    std::cout << parse.eof() << parse.fail() << parse.bad() << '\n';

    std::ostringstream built;
    for (int i = 0; i < 5; i++)
        built << i << (i < 4 ? "," : "");
    std::cout << built.str() << ' ' << built.str().size() << '\n';

    std::string line;
    int number = 0, sum = 0, lines = 0;
    while (std::cin >> number)
        sum += number;
    std::cin.clear();
    while (std::getline(std::cin, line)) {
        lines++;
        std::cout << std::quoted(line) << '\n';
    }
    std::cout << "sum " << sum << " lines " << lines << " eof " << std::cin.eof() << std::endl;

    Upper upper(std::cout.rdbuf());
    std::ostream loud(&upper);
    loud << "loud " << p << std::endl;
    try {
        std::istringstream strict("not a number");
        strict.exceptions(std::ios::failbit);
        strict >> number;
    } catch (const std::ios_base::failure &e) {
        std::cout << "failure caught\n";
    }
    std::cerr << "to stderr " << 7 << '\n';
    std::clog << "to clog\n";
}
