// Eight bodies that attract each other.
enum { bodies = 8 };
static double position[bodies][3], velocity[bodies][3], mass[bodies];

static void attract(int i, int j) {
    double distance[3], square = 0.01;
    for (int k = 0; k < 3; k++) {
        distance[k] = position[i][k] - position[j][k];
        square += distance[k] * distance[k];
    }
    const double strength = 0.001 / (square * __builtin_sqrt(square));
    for (int k = 0; k < 3; k++) {
        velocity[i][k] -= distance[k] * mass[j] * strength;
        velocity[j][k] += distance[k] * mass[i] * strength;
    }
}

__attribute__((export_name("run"))) int run(int steps) {
    for (int i = 0; i < bodies; i++) {
        for (int k = 0; k < 3; k++) {
            position[i][k] = i * 1.5 + k * 0.7 + i * k * 0.1;
            velocity[i][k] = 0.01 * i - 0.02 * k;
        }
        mass[i] = 1.0 + i * 0.1;
    }
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < bodies; i++) {
            for (int j = i + 1; j < bodies; j++) attract(i, j);
        }
        for (int i = 0; i < bodies; i++) {
            for (int k = 0; k < 3; k++) position[i][k] += 0.001 * velocity[i][k];
        }
    }
    return (int)(position[3][1] * 1e6);
}
