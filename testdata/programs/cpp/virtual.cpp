// Virtual calls: single, multiple and virtual inheritance, thunks, covariant returns, calls while constructing, pointers to members.
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

struct Shape {
    virtual ~Shape() { std::printf("~Shape\n"); }
    virtual double area() const = 0;
    virtual const char *name() const { return "shape"; }
    virtual Shape *clone() const = 0;
    double twice() const { return 2 * area(); }
};
struct Named {
    char label[16] = "none";
    virtual ~Named() { std::printf("~Named %s\n", label); }
    virtual void rename(const char *n) { std::strncpy(label, n, sizeof label - 1); }
    virtual Named *self() { return this; }
};
struct Square : Shape, Named {
    double side;
    explicit Square(double s) : side(s) {}
    double area() const override { return side * side; }
    const char *name() const override { return "square"; }
    Square *clone() const override { return new Square(*this); }
    Square *self() override { return this; }
    void rename(const char *n) override { Named::rename(n); label[0] = 'S'; }
    ~Square() override { std::printf("~Square %.1f\n", side); }
};

struct Base {
    int id;
    explicit Base(int i) : id(i) { report("Base"); }
    virtual ~Base() { report("~Base"); }
    virtual int kind() const { return 1; }
    void report(const char *where) { std::printf("%s kind %d id %d\n", where, kind(), id); }
};
struct Left : virtual Base {
    int left = 10;
    Left() : Base(100) { report("Left"); }
    int kind() const override { return 2; }
    ~Left() override { report("~Left"); }
};
struct Right : virtual Base {
    int right = 20;
    Right() : Base(200) { report("Right"); }
    int kind() const override { return 3; }
    virtual int sum() { return right + id; }
    ~Right() override { report("~Right"); }
};
struct Diamond final : Left, Right {
    Diamond() : Base(300) { report("Diamond"); }
    int kind() const override { return 4; }
    int sum() override { return left + right + id; }
    ~Diamond() override { report("~Diamond"); }
};

static int through(Base &b) { return b.kind() * 1000 + b.id; }

int main() {
    std::vector<std::unique_ptr<Shape>> shapes;
    shapes.emplace_back(new Square(2));
    shapes.emplace_back(shapes[0]->clone());
    static_cast<Square *>(shapes[1].get())->side = 3;
    for (auto &s : shapes)
        std::printf("%s %.1f %.1f\n", s->name(), s->area(), s->twice());
    Named *named = static_cast<Square *>(shapes[1].get());
    named->rename("xquare");
    std::printf("%s %d\n", named->self()->label, named->self() == named);

    double (Shape::*member)() const = &Shape::area;
    const char *(Shape::*other)() const = &Shape::name;
    int Base::*data = &Base::id;
    std::printf("%.1f %s\n", (shapes[0].get()->*member)(), (shapes[0].get()->*other)());
    shapes.clear();
    {
        Diamond d;
        std::printf("%d %d %d\n", through(d), d.sum(), static_cast<Right &>(d).sum());
        std::printf("%d %d\n", d.*data, static_cast<Left &>(d).kind());
        Right r;
        std::printf("%d\n", through(r));
    }
    Base *b = new Diamond;
    delete b;
    return 0;
}
