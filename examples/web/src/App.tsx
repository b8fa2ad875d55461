import { Route, Routes } from 'react-router';
import { Masthead } from './components/Masthead';
import { AboutPage } from './pages/AboutPage';
import { BoardPage } from './pages/BoardPage';
import { ConsignmentPage } from './pages/ConsignmentPage';
import { NotFoundPage } from './pages/NotFoundPage';

export function App() {
  return (
    <>
      <Masthead />
      <main>
        <Routes>
          <Route index element={<BoardPage />} />
          <Route path="consignment/:id" element={<ConsignmentPage />} />
          <Route path="about" element={<AboutPage />} />
          <Route path="*" element={<NotFoundPage />} />
        </Routes>
      </main>
    </>
  );
}
